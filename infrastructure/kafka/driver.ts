import type { Connections } from '../../schemas/project.ts';
import { createAdmin } from './admin.ts';
import type { ClientOptions } from './cluster.ts';
import { createConsumer } from './consumer.ts';
import { KafkaError } from './errors.ts';
import type { Kafka } from './port.ts';
import { createProducer } from './producer.ts';
import { createReader } from './reader.ts';

/** Kafka over kafkajs' connections. Nothing is connected before the first producer, consumer, reader or admin. */
export function createKafka(connections: Pick<Connections, 'kafka'>, options: ClientOptions): Kafka {
  const { kafka } = connections;
  const open = new Set<{ close(): Promise<void> }>();
  let closed = false;

  async function keep<T extends { close(): Promise<void> }>(create: () => Promise<T>): Promise<T> {
    if (closed)
      throw new KafkaError('closed', 'this connection to Kafka has been closed', { retriable: false });
    const client = await create();
    const close = client.close.bind(client);
    client.close = async () => {
      open.delete(client);
      await close();
    };
    open.add(client);
    return client;
  }

  return {
    producer: () => keep(() => createProducer(kafka, options)),
    consumer: (consumerOptions) => keep(() => createConsumer(kafka, options, consumerOptions)),
    reader: (positions, reading) => keep(() => createReader(kafka, options, positions, reading)),
    admin: () => keep(() => createAdmin(kafka, options)),
    async close() {
      closed = true;
      await Promise.all([...open].map((client) => client.close()));
    },
  };
}
