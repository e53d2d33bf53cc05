import type { Buffer } from 'node:buffer';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { assignRoundRobin } from './assign.ts';
import { type BrokerNode, type Cluster, isConnectionFailure, kafkaError, rootCause } from './cluster.ts';
import { KafkaError } from './errors.ts';
import type { TopicPartition } from './port.ts';
import { describeTopics } from './topic-facts.ts';

interface AssignerProtocol {
  readonly MemberMetadata: {
    encode(metadata: { version: number; topics: readonly string[] }): Buffer;
    decode(bytes: Buffer): { topics: string[] };
  };
  readonly MemberAssignment: {
    encode(assignment: { version: number; assignment: Record<string, number[]> }): Buffer;
    decode(bytes: Buffer): { assignment: Record<string, number[]> } | null;
  };
}
const { MemberMetadata, MemberAssignment } = createRequire(import.meta.url)(
  'kafkajs/src/consumer/assignerProtocol',
) as AssignerProtocol;

/** The broker gives up a member it has not heard of for so long: what a killed process delays the others by. */
const SESSION_TIMEOUT_MS = 8_000;
const HEARTBEAT_MS = 1_000;
const REBALANCE_TIMEOUT_MS = 20_000;
/** Without a coordinator for longer than this, the membership ends with an error. */
const GIVE_UP_MS = 60_000;
/** How often the leader of a group looks whether topics have got more partitions. */
const LOOK_AT_TOPICS_MS = 2_000;
const PROTOCOL = 'RoundRobinAssigner';

export interface Assignment {
  /** The group's own number; it grows with every rebalance. */
  readonly generation: number;
  readonly partitions: readonly TopicPartition[];
}

export interface MembershipHandlers {
  /** A new assignment; what came before is not this member's any more. */
  onAssignment(assignment: Assignment): void;
  /** The group is being dealt anew: commits of the assignment before are refused from now on. */
  onRevoked(): void;
  /** The membership has ended by itself. */
  onFailure(error: KafkaError): void;
}

/**
 * One member of a consumer group (the classic protocol, eager): joins, is dealt its partitions, and sends heartbeats
 * all by itself, whatever its owner is doing.
 */
export class Membership {
  readonly #cluster: Cluster;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #handlers: MembershipHandlers;
  #coordinator: BrokerNode | null = null;
  #memberId = '';
  #generation = -1;
  readonly #closed = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #joining: Promise<unknown> = Promise.resolve();
  /** While this member leads the group: partitions of each topic when they were dealt, and when that was last looked at. */
  #dealt: ReadonlyMap<string, number> | null = null;
  #lookedAt = 0;

  constructor(cluster: Cluster, group: string, topics: readonly string[], handlers: MembershipHandlers) {
    this.#cluster = cluster;
    this.#group = group;
    this.#topics = [...topics].sort();
    this.#handlers = handlers;
  }

  start(): void {
    this.#running = this.#live().catch((error: unknown) => {
      if (!this.#closed.signal.aborted) {
        this.#handlers.onFailure(
          kafkaError(error, `the member of ${this.#group} stopped`, 'consumer_stopped'),
        );
      }
    });
  }

  async #live(): Promise<void> {
    let failingSince = 0;
    for (;;) {
      if (this.#closed.signal.aborted) return;
      try {
        const joining = this.#join();
        this.#joining = joining;
        const assignment = await joining;
        if (this.#closed.signal.aborted) return;
        failingSince = 0;
        this.#handlers.onAssignment(assignment);
        await this.#beat();
        this.#handlers.onRevoked();
      } catch (error) {
        const now = Date.now();
        failingSince ||= now;
        if (this.#closed.signal.aborted) return;
        this.#handlers.onRevoked();
        if (!this.#recovers(error) || now - failingSince > GIVE_UP_MS) throw error;
        await sleep(Math.min(1_000, 20 + (now - failingSince) / 4));
        await this.#cluster.refreshMetadata().catch(() => {});
      }
    }
  }

  /** Whether to join again; forgets what the error says is wrong. */
  #recovers(error: unknown): boolean {
    const { type, retriable } = rootCause(error) as { type?: string; retriable?: boolean };
    if (type === 'UNKNOWN_MEMBER_ID') this.#memberId = '';
    if (isConnectionFailure(error) || type === undefined || type.includes('COORDINATOR'))
      this.#coordinator = null;
    return (
      isConnectionFailure(error) ||
      retriable === true ||
      type === 'UNKNOWN_MEMBER_ID' ||
      type === 'ILLEGAL_GENERATION' ||
      type === 'REBALANCE_IN_PROGRESS' ||
      type?.includes('COORDINATOR') === true ||
      type === 'GROUP_LOAD_IN_PROGRESS' ||
      type === 'UNKNOWN_TOPIC_OR_PARTITION'
    );
  }

  async #join(): Promise<Assignment> {
    const groupId = this.#group;
    this.#coordinator ??= await this.#cluster.findGroupCoordinator({ groupId });
    const joined = await this.#coordinator.joinGroup({
      groupId,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      memberId: this.#memberId,
      groupProtocols: [
        { name: PROTOCOL, metadata: MemberMetadata.encode({ version: 0, topics: this.#topics }) },
      ],
    });
    const { memberId, generationId: generation } = joined;
    this.#memberId = memberId;
    this.#dealt = null;
    const groupAssignment = joined.leaderId === memberId ? await this.#deal(joined.members) : [];
    const synced = await this.#coordinator.syncGroup({
      groupId,
      generationId: generation,
      memberId,
      groupAssignment,
    });
    this.#generation = generation;
    const assignment = MemberAssignment.decode(synced.memberAssignment)?.assignment ?? {};
    const partitions = Object.entries(assignment)
      .flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition })))
      .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition));
    return { generation, partitions };
  }

  /** The leader's part: everybody's share. */
  async #deal(
    members: ReadonlyArray<{ memberId: string; memberMetadata: Buffer }>,
  ): Promise<Array<{ memberId: string; memberAssignment: Buffer }>> {
    const subscribers = members
      .map(({ memberId, memberMetadata }) => ({
        id: memberId,
        topics: MemberMetadata.decode(memberMetadata).topics,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const topics = [...new Set(subscribers.flatMap((member) => member.topics))];
    await this.#cluster.addMultipleTargetTopics(topics);
    await this.#cluster.refreshMetadata();
    this.#dealt = new Map(
      topics.map((topic) => [topic, this.#cluster.findTopicPartitionMetadata(topic).length]),
    );
    this.#lookedAt = Date.now();
    const shares = assignRoundRobin(subscribers, (topic) =>
      this.#cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => ({ topic, partition: partitionId }))
        .sort((a, b) => a.partition - b.partition),
    );
    return [...shares].map(([memberId, share]) => {
      const assignment: Record<string, number[]> = Object.create(null);
      for (const { topic, partition } of share) assignment[topic] = [...(assignment[topic] ?? []), partition];
      return { memberId, memberAssignment: MemberAssignment.encode({ version: 0, assignment }) };
    });
  }

  /** Heartbeats until the group is dealt anew; throws where the member must begin again. */
  async #beat(): Promise<void> {
    let failingSince = 0;
    for (;;) {
      await sleep(HEARTBEAT_MS, undefined, { signal: this.#closed.signal }).catch(() => {});
      if (this.#closed.signal.aborted) return;
      try {
        this.#coordinator ??= await this.#cluster.findGroupCoordinator({ groupId: this.#group });
        await this.#coordinator.heartbeat({
          groupId: this.#group,
          groupGenerationId: this.#generation,
          memberId: this.#memberId,
        });
        failingSince = 0;
        if (await this.#hasGrown()) return;
      } catch (error) {
        if (rootCause(error).type === 'REBALANCE_IN_PROGRESS') return;
        const now = Date.now();
        failingSince ||= now;
        // A short outage needs no new assignment: as long as the broker may still know this member, go on.
        if (!isConnectionFailure(error) || now - failingSince > SESSION_TIMEOUT_MS) throw error;
        this.#coordinator = null;
        await this.#cluster.refreshMetadata().catch(() => {});
      }
    }
  }

  /** Whether a topic has more partitions than were dealt: then the leader joins again, and deals anew. */
  async #hasGrown(): Promise<boolean> {
    const dealt = this.#dealt;
    if (dealt === null || Date.now() - this.#lookedAt < LOOK_AT_TOPICS_MS) return false;
    this.#lookedAt = Date.now();
    try {
      const facts = await describeTopics(await this.#cluster.findControllerBroker(), [...dealt.keys()]);
      return facts.some(({ topic, partitions }) => partitions > (dealt.get(topic) ?? 0));
    } catch {
      return false; // Whatever it is, the next heartbeat meets it too.
    }
  }

  /** Commits next offsets; throws KafkaError `stale_generation` where the group has moved on. */
  async commit(offsets: ReadonlyArray<TopicPartition & { readonly offset: number }>): Promise<void> {
    const byTopic = new Map<string, Array<{ partition: number; offset: string; metadata: null }>>();
    for (const { topic, partition, offset } of offsets) {
      const list = byTopic.get(topic) ?? [];
      list.push({ partition, offset: String(offset), metadata: null });
      byTopic.set(topic, list);
    }
    const what = `committing offsets of ${this.#group} failed`;
    try {
      this.#coordinator ??= await this.#cluster.findGroupCoordinator({ groupId: this.#group });
      await this.#coordinator.offsetCommit({
        groupId: this.#group,
        groupGenerationId: this.#generation,
        memberId: this.#memberId,
        topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })),
      });
    } catch (error) {
      const { type } = rootCause(error);
      if (type === 'ILLEGAL_GENERATION' || type === 'UNKNOWN_MEMBER_ID' || type === 'REBALANCE_IN_PROGRESS') {
        throw new KafkaError('stale_generation', `${what}: the group has moved on; poll again`, {
          retriable: true,
          cause: error,
        });
      }
      if (isConnectionFailure(error) || type?.includes('COORDINATOR') === true) this.#coordinator = null;
      throw kafkaError(error, what, 'request_failed');
    }
  }

  /** Leaves the group, so that the others need not wait for this member's session to end. */
  async close(): Promise<void> {
    this.#closed.abort();
    // A join under way ends soon, or with the connection, which the owner closes next.
    await soon(this.#joining);
    if (this.#memberId === '' || this.#coordinator === null) return;
    await soon(this.#coordinator.leaveGroup({ groupId: this.#group, memberId: this.#memberId }));
  }

  async ended(): Promise<void> {
    await this.#running;
  }
}

/** Waits for the end of `work`, good or bad, but no longer than a second and a half. */
async function soon(work: Promise<unknown>): Promise<void> {
  await Promise.race([work.catch(() => {}), sleep(1_500, undefined, { ref: false })]);
}
