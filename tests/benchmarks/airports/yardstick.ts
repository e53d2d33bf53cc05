import { readFileSync } from 'node:fs';
import kafkajs from 'kafkajs';
import { Destination, landingOf, type PlainModel, scoreOf } from './windows.ts';

/*
 * The yardstick: the job of docs/examples/airports as a plain kafkajs program, without tricks. It keeps its windows in Maps, sends its
 * answers with an idempotent producer, batch by batch, and lets kafkajs commit the offsets. It loses its state when it ends.
 *
 *   node tests/benchmarks/airports/yardstick.ts <brokers> <group> <raw topic> <predictions topic> <dead letters topic> <model file>
 */
const [brokers = '', group = '', raw = '', predictions = '', letters = '', file = ''] = process.argv.slice(2);
const model = JSON.parse(readFileSync(file, 'utf8')) as PlainModel;
const { Kafka, logLevel } = kafkajs;
const kafka = new Kafka({ clientId: 'yardstick', brokers: brokers.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: group });
const producer = kafka.producer({ idempotent: true });
/** A request of Kafka takes a megabyte by default. */
const SEND = 2_000;
const destinations = new Map<string, Destination>();

await producer.connect();
await consumer.connect();
await consumer.subscribe({ topic: raw, fromBeginning: true });
await consumer.run({
  eachBatch: async ({ batch, heartbeat }) => {
    const answers: Array<{ key: string; value: string }> = [];
    const refused: Array<{ key: Buffer | null; value: Buffer | null; headers: { reason: string } }> = [];
    for (const { key, value } of batch.messages) {
      const event = landingOf(value?.toString() ?? '');
      if (typeof event === 'string') {
        refused.push({ key, value, headers: { reason: event } });
        continue;
      }
      let destination = destinations.get(event.dest);
      if (destination === undefined) {
        destination = new Destination();
        destinations.set(event.dest, destination);
      }
      destination.add(event);
      const features = destination.features(event.ts);
      answers.push({
        key: event.dest,
        value: JSON.stringify({
          id: event.id,
          ts: event.ts,
          dest: event.dest,
          score: scoreOf(model, features),
          features: [...features],
        }),
      });
    }
    for (let at = 0; at < answers.length; at += SEND)
      await producer.send({ topic: predictions, messages: answers.slice(at, at + SEND) });
    if (refused.length > 0) await producer.send({ topic: letters, messages: refused });
    await heartbeat();
  },
});
process.send?.('ready');
process.on('disconnect', () => process.exit(0));
