import type {
  Kafka,
  KafkaRecord,
  OutgoingRecord,
  Position,
  TopicPartition,
} from '../../infrastructure/kafka/port.ts';
import type { Commit, CommitResult, OnlineStore } from '../../infrastructure/redis/port.ts';
import { Folder } from '../../processors/fold.ts';
import { encodeMeta, type ViewMeta } from '../../processors/meta.ts';
import { reachOf } from '../../processors/window.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups, keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { liveOn, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { compactGrown } from './compaction.ts';
import { applyBlock, EMPTY, type HeldView, type Refused } from './held-view.ts';
import { beginLife, isBuilding } from './life.ts';

export interface FeaturesDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** A commit blocks every reader of the store while it lasts, so it is cut at this many keys. */
const MAX_KEYS = 450;
const MAX_POLL_RECORDS = 2_000;
const IDLE_POLL_MS = 1_000;

/** View topics -> tiles in the online store. */
export function createFeatures(deps: FeaturesDeps): Stream {
  const { project, kafka, store, codecs, clock, telemetry } = deps;
  const { prefix, retention } = project;
  const views = new Map<string, View>(project.views.map((view) => [topics.view(prefix, view.id), view]));
  const sourceOfTopic = new Map<string, string>(
    project.sources.map(({ name }) => [topics.raw(prefix, name), name]),
  );

  async function life(signal: AbortSignal, healthy: () => void): Promise<void> {
    const checkpoint = new Checkpoint(kafka, store);
    let held = new Map<string, HeldView>();

    async function onAssigned(assigned: readonly TopicPartition[]): Promise<Position[]> {
      const next = new Map<string, HeldView>();
      for (const { topic, partition } of assigned) {
        const view = views.get(topic);
        if (view === undefined)
          throw new Error(
            `features was assigned ${topic}, which is no view topic of project ${project.name}`,
          );
        next.set(`${topic}:${partition}`, {
          view,
          topic,
          partition,
          topics: view.sources.map((source) => topics.raw(prefix, source)),
          key: keys.viewPartition(prefix, view.id, partition),
          expected: null,
          meta: EMPTY,
          compactions: new Map(),
          folder: new Folder(view),
          building: false,
        });
      }
      await reread([...next.values()]);
      held = next;
      return [...next.values()].map(({ meta }) => (meta.next === 0 ? 'earliest' : meta.next));
    }

    /** Takes the metas as the store has them; begins a new life where there is none that can be gone on with. */
    async function reread(states: readonly HeldView[]): Promise<void> {
      const found = await store.read(states.map(({ key }) => [keys.meta(key)]));
      for (const [i, state] of states.entries()) {
        const bytes = found[i]?.[0] ?? null;
        state.compactions.clear();
        const building = isBuilding(bytes);
        if (building && !state.building)
          telemetry.note('features', 'a backfill writes', {
            view: state.view.id,
            partition: state.partition,
          });
        state.building = building;
        if (building) {
          state.expected = bytes;
          continue;
        }
        const alive = await beginLife(deps, state, bytes);
        state.expected = alive.bytes;
        state.meta = alive.meta;
      }
    }

    const consumer = await kafka.consumer({
      group: groups.features(prefix),
      topics: [...views.keys()],
      onAssigned,
      maxPollRecords: MAX_POLL_RECORDS,
    });

    async function recover(states: readonly HeldView[]): Promise<void> {
      await reread(states);
      for (const state of states) if (!state.building) await consumer.seek(state, state.meta.next);
    }

    /** Folds records of one view partition, in order, until the commit is large enough. */
    function fold(
      state: HeldView,
      records: readonly KafkaRecord[],
      from: number,
      refused: Refused[],
    ): { taken: number; commit: Commit; meta: ViewMeta } {
      const { folder } = state;
      let meta = state.meta;
      let index = from;
      for (; index < records.length; index += 1) {
        const record = records[index];
        if (record === undefined || record.value === null) continue;
        const { sections } = codecs.blocks.decode(record.value);
        const incoming = sections.reduce((count, { contributions }) => count + contributions.length, 0);
        const keys = (folder.entities + incoming) * state.view.sets.length;
        if (keys > MAX_KEYS && index > from) break;
        meta = { ...applyBlock(state, meta, sections, folder, refused), next: record.offset + 1 };
      }
      const appends = folder.drain().map(({ set, entity, bytes }) => {
        const suffix = state.view.sets[set]?.suffix ?? 'w';
        return [keys.log(state.key, suffix, entity), bytes] as const;
      });
      return { taken: index - from, meta, commit: commitOf(state, meta, appends) };
    }

    function commitOf(state: HeldView, meta: ViewMeta, appends: Commit['appends']): Commit {
      return {
        metaKey: keys.meta(state.key),
        expected: state.expected,
        next: encodeMeta(meta),
        sets: [],
        appends,
        deletes: [],
        logTtlMs: reachOf(state.view) + retention.stateExtra,
        metaTtlMs: retention.stateExtra,
      };
    }

    async function work(
      batches: ReadonlyArray<{ state: HeldView; records: readonly KafkaRecord[] }>,
    ): Promise<void> {
      let queues = batches.map((batch) => ({ ...batch, at: 0 }));
      while (queues.length > 0) {
        const started = performance.now();
        const refused = queues.map((): Refused[] => []);
        const folded = queues.map(({ state, records, at }, i) => fold(state, records, at, refused[i] ?? []));
        const worked = performance.now();
        await checkpoint.send(
          queues.flatMap(({ state }, i) => (refused[i] ?? []).map((one) => deadLetter(state, one))),
        );
        const results = await checkpoint.commit(folded.map(({ commit }) => commit));
        const done = performance.now();
        const offsets: Array<TopicPartition & { offset: number }> = [];
        const conflicts: HeldView[] = [];
        const grown: Array<{
          state: HeldView;
          commit: Commit;
          result: CommitResult & { status: 'committed' };
        }> = [];
        let contributions = 0;
        for (const [i, queue] of queues.entries()) {
          const { state } = queue;
          const fold = folded[i];
          const result = results[i];
          if (fold === undefined || result?.status !== 'committed') {
            if (result?.status === 'torn')
              telemetry.note('features', 'torn', {
                view: state.view.id,
                partition: state.partition,
                detail: result.detail,
              });
            conflicts.push(state);
            queue.at = queue.records.length;
            continue;
          }
          queue.at += fold.taken;
          state.expected = fold.commit.next;
          state.meta = fold.meta;
          contributions += fold.commit.appends.length;
          for (const { code } of refused[i] ?? []) telemetry.refused('features', code, 1);
          if (fold.meta.frontier !== null)
            telemetry.frontier(state.view.id, state.partition, fold.meta.frontier);
          grown.push({ state, commit: fold.commit, result });
          offsets.push({ topic: state.topic, partition: state.partition, offset: fold.meta.next });
        }
        telemetry.step('features', 'fold', worked - started, contributions);
        telemetry.step('features', 'commit', done - worked, contributions);
        for (const state of await compactGrown(store, grown)) conflicts.push(state);
        telemetry.step('features', 'compact', performance.now() - done, contributions);
        checkpoint.report(consumer, offsets, clock.now());
        if (conflicts.length > 0) await recover([...new Set(conflicts)]);
        queues = queues.filter(({ at, records }) => at < records.length);
      }
    }

    function deadLetter(state: HeldView, { section, contribution, code, detail }: Refused): OutgoingRecord {
      const source = sourceOfTopic.get(section.topic) ?? '';
      return {
        topic: topics.deadLetters(prefix, source),
        partition: section.partition,
        key: null,
        value: codecs.deadLetters.encode({
          format: 1,
          stage: 'features',
          code,
          detail,
          sourceTopic: section.topic,
          sourcePartition: section.partition,
          sourceOffset: contribution.offset,
          appendTime: 0,
          eventId: null,
          eventTime: contribution.time,
          writer: `${state.view.id}:${state.partition}`,
          key: null,
          value: null,
        }),
      };
    }

    let checkedAt = 0;
    try {
      while (!signal.aborted) {
        const poll = await consumer.poll(IDLE_POLL_MS);
        const states = held;
        for (const { topic, partition, start } of poll.cut) {
          const state = states.get(`${topic}:${partition}`);
          if (state === undefined || state.building) continue;
          const alive = await beginLife(deps, state, state.expected, { cutAt: start });
          state.expected = alive.bytes;
          state.meta = alive.meta;
          await consumer.seek(state, start);
        }
        const batches: Array<{ state: HeldView; records: readonly KafkaRecord[] }> = [];
        for (const { topic, partition, records, highWatermark } of poll.batches) {
          const state = states.get(`${topic}:${partition}`);
          if (state === undefined || state.building) continue;
          telemetry.lag('features', topic, partition, highWatermark - (records.at(-1)?.offset ?? 0) - 1);
          batches.push({ state, records: records.filter(({ offset }) => offset >= state.meta.next) });
        }
        await work(batches.filter(({ records }) => records.length > 0));
        const looked = [...states.values()].filter(({ building }) => building || poll.batches.length === 0);
        if (looked.length > 0 && clock.now() - checkedAt >= IDLE_POLL_MS) {
          checkedAt = clock.now();
          await recoverMoved(looked);
        }
        healthy();
      }
    } finally {
      await checkpoint.close(consumer);
    }

    /** With nothing to commit, a rolled-back or lost store shows only to who looks. */
    async function recoverMoved(states: readonly HeldView[]): Promise<void> {
      const found = await store.read(states.map(({ key }) => [keys.meta(key)]));
      const moved = states.filter((state, i) => {
        const bytes = found[i]?.[0] ?? null;
        return state.expected === null || bytes === null || Buffer.compare(bytes, state.expected) !== 0;
      });
      if (moved.length > 0) await recover(moved);
    }
  }

  return {
    name: 'features',
    run: (signal) => liveOn('features', clock, telemetry, signal, (healthy) => life(signal, healthy)),
  };
}
