import type { Connections } from '../../schemas/project.ts';
import { type ClientOptions, connect, createCluster } from './cluster.ts';
import { KafkaError } from './errors.ts';
import { Fetcher } from './fetcher.ts';
import type { ConsumerOptions, Position, Reader, TopicPartition } from './port.ts';

const BUFFERED_BYTES = 4_194_304;
const MAX_POLL_RECORDS = 10_000;

/** Reads explicit partitions from explicit positions; no group is made. */
export async function createReader(
  kafka: Connections['kafka'],
  client: ClientOptions,
  positions: ReadonlyArray<TopicPartition & { readonly position: Position }>,
  reading: Pick<ConsumerOptions, 'unreadable'> = {},
): Promise<Reader> {
  const cluster = createCluster(kafka, client);
  await connect(cluster, kafka, [...new Set(positions.map(({ topic }) => topic))]);
  const fetcher = new Fetcher(cluster, BUFFERED_BYTES, reading);
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    fetcher.stop();
    await cluster.disconnect().catch(() => {});
    await fetcher.stopped();
    await cluster.disconnect().catch(() => {});
  };
  try {
    await fetcher.assign(
      positions,
      positions.map(({ position }) => position),
    );
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async poll(maxWaitMs) {
      const deadline = performance.now() + maxWaitMs;
      for (;;) {
        if (closed) throw new KafkaError('closed', 'the reader has been closed', { retriable: false });
        const { batches, cut } = fetcher.poll(MAX_POLL_RECORDS);
        const [gone] = cut;
        if (gone !== undefined) {
          throw new KafkaError(
            'position_deleted',
            `the log of ${gone.topic}:${gone.partition} does not hold the position asked for: it begins at ${gone.start}`,
            { retriable: false },
          );
        }
        const left = deadline - performance.now();
        if (batches.length > 0 || left <= 0) return batches;
        await fetcher.wait(left);
      }
    },
    position: (partition) => fetcher.drainedTo(partition, 0),
    close,
  };
}
