import type { Connections } from '../../schemas/project.ts';
import { type ClientOptions, connect, createCluster, kafkaError } from './cluster.ts';
import { KafkaError } from './errors.ts';
import { Fetcher } from './fetcher.ts';
import { type Assignment, Membership } from './membership.ts';
import type { Consumer, ConsumerOptions, Poll, TopicPartition } from './port.ts';
import { describeTopics } from './topic-facts.ts';

const DEFAULT_BUFFERED_BYTES = 4_194_304;

/** An assignment whose offsets cannot be read for longer than this fails the poll. */
const GIVE_UP_MS = 60_000;

/**
 * A member of a group with buffers of its own. Joining and heartbeats go on by themselves; what the group decides is
 * taken up inside `poll`, so that `onAssigned` never runs while its owner is at work on an older assignment.
 */
export async function createConsumer(
  kafka: Connections['kafka'],
  client: ClientOptions,
  options: ConsumerOptions,
): Promise<Consumer> {
  const cluster = createCluster(kafka, client);
  await connect(cluster, kafka, options.topics);
  const fetcher = new Fetcher(cluster, options.maxBufferedBytes ?? DEFAULT_BUFFERED_BYTES, options);
  let told: Assignment | null = null;
  let generation = 0;
  let current = false;
  let closed = false;
  let failingSince: number | null = null;

  const membership = new Membership(cluster, options.group, options.topics, {
    onAssignment(assignment) {
      told = assignment;
      current = false;
      fetcher.stop();
    },
    onRevoked() {
      current = false;
    },
    onFailure: (error) => fetcher.fail(error),
  });
  membership.start();

  /** Answers whether it came to that; false while brokers are away, for a while. */
  async function takeUp(assignment: Assignment): Promise<boolean> {
    const positions = await options.onAssigned(assignment.partitions);
    if (positions.length !== assignment.partitions.length) {
      throw new TypeError('onAssigned must answer for every partition given');
    }
    if (told !== assignment) return true; // The group has moved on meanwhile.
    try {
      await fetcher.assign(assignment.partitions, positions);
    } catch (error) {
      failingSince ??= Date.now();
      const passing = error instanceof KafkaError && error.retriable;
      if (!passing || Date.now() - failingSince > GIVE_UP_MS) throw error;
      return false;
    }
    failingSince = null;
    if (told !== assignment) return true;
    told = null;
    generation = assignment.generation;
    current = true;
    return true;
  }

  return {
    async poll(maxWaitMs): Promise<Poll> {
      const deadline = performance.now() + maxWaitMs;
      for (;;) {
        if (closed) throw new KafkaError('closed', 'the consumer has been closed', { retriable: false });
        while (told !== null) {
          if (await takeUp(told)) continue;
          if (performance.now() >= deadline) return { generation, batches: [], cut: [], atEnd: [] };
          await fetcher.wait(50);
        }
        const taken = fetcher.poll(options.maxPollRecords);
        const left = deadline - performance.now();
        if (taken.batches.length > 0 || taken.cut.length > 0 || left <= 0) return { generation, ...taken };
        await fetcher.wait(left);
      }
    },
    async seek(partition, offset) {
      fetcher.seek(partition, offset);
    },
    pause: (partitions) => fetcher.setPaused(partitions, true),
    resume: (partitions) => fetcher.setPaused(partitions, false),
    async commit(offsets) {
      if (offsets.length === 0) return;
      if (!current) {
        const message = `the group ${options.group} has moved on, so nothing was committed; poll again`;
        throw new KafkaError('stale_generation', message, { retriable: true });
      }
      await membership.commit(offsets);
    },
    moved: () => told !== null,
    ends: (partitions) => fetcher.ends(partitions),
    async facts() {
      try {
        return await describeTopics(await cluster.findControllerBroker(), options.topics);
      } catch (error) {
        throw kafkaError(
          error,
          `the topics ${options.topics.join(', ')} could not be described`,
          'request_failed',
        );
      }
    },
    async atEnd(partitions) {
      const ends = await fetcher.ends(partitions);
      return partitions.map((place, i) => fetcher.drainedTo(place, ends[i] ?? Number.POSITIVE_INFINITY));
    },
    assignment: (): readonly TopicPartition[] => fetcher.assignment(),
    async close() {
      if (closed) return;
      closed = true;
      fetcher.stop();
      await membership.close();
      await cluster.disconnect().catch(() => {});
      await membership.ended();
      await fetcher.stopped();
      // A join or fetch that was under way may have opened a connection once more.
      await cluster.disconnect().catch(() => {});
    },
  };
}
