import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka, KafkaRecord, Poll, Position, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { hasEvicted, type OnlineStore } from '../../infrastructure/redis/port.ts';
import { StateNeedsBackfill } from '../../processors/apply-block.ts';
import type { Clock } from '../../schemas/clock.ts';
import { groups, keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { Checkpoint } from '../runtime/checkpoint.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { ALL_GUARDS, type Guards } from '../runtime/guards.ts';
import { restartOnFailure, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { Waits } from '../runtime/waits.ts';
import { type Begun, beginState, isBuilding } from './begin-state.ts';
import { compactGrown, type Grown } from './compaction.ts';
import type { FeaturesContext } from './context.ts';
import { deadLetterOf, type Folded, foldRecords } from './fold.ts';
import { KeptBytes } from './kept-bytes.ts';
import { backlogOf, isAhead, tellOverHold } from './pace.ts';
import { Readers } from './readers.ts';
import { isAbandoned, Rebuilder } from './rebuild.ts';
import { type OwnedView, ownView } from './view-partition.ts';

export interface FeaturesDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly guards?: Guards;
  /** What a lost state is built from again where Kafka alone is not all. */
  readonly warehouse?: Warehouse;
  /** How long an operator's backfill is waited for first, ms. */
  readonly rebuildAfterMs?: number;
}

const MAX_POLL_RECORDS = 2_000;
const IDLE_POLL_MS = 1_000;
const COMPARE_EVERY_MS = 1_000;
/** A poll while view partitions wait for their readers, ms. */
const PACED_POLL_MS = 20;
/** How often the readers of views are looked at, and while some view partition waits for them, ms. */
const LOOK_EVERY_MS = 1_000;
const PACED_LOOK_EVERY_MS = 50;

/** Records of a view partition, in order. */
interface Queued {
  readonly state: OwnedView;
  readonly records: readonly KafkaRecord[];
}

/** View topics -> tiles in the online store. */
export function createFeatures(deps: FeaturesDeps): Stream {
  const { clock, telemetry } = deps;
  const rebuilder = new Rebuilder(deps);
  const work = async (signal: AbortSignal, healthy: () => void) => {
    try {
      await runLoop(deps, signal, healthy);
    } catch (error) {
      if (!(error instanceof StateNeedsBackfill)) throw error;
      await rebuilder.rebuild(error, signal);
    }
  };
  return {
    name: 'features',
    run: (signal, healthy) =>
      restartOnFailure('features', clock, telemetry, signal, (done) => work(signal, done), healthy),
  };
}

async function runLoop(deps: FeaturesDeps, signal: AbortSignal, healthy: () => void): Promise<void> {
  const context = await openContext(deps);
  let comparedAt = 0;
  let lookedAt = 0;
  try {
    while (!signal.aborted) {
      const paced = [...context.owned.values()].some(({ paused }) => paused);
      const poll = await context.consumer.poll(paced ? PACED_POLL_MS : IDLE_POLL_MS);
      await replaceCut(context, poll);
      if (deps.clock.now() - lookedAt >= (paced ? PACED_LOOK_EVERY_MS : LOOK_EVERY_MS)) {
        lookedAt = deps.clock.now();
        await lookAtReaders(context);
      }
      let queues = queuesOf(context, poll);
      while (queues.length > 0) queues = await workRound(context, queues);
      if (deps.clock.now() - comparedAt >= COMPARE_EVERY_MS) {
        comparedAt = deps.clock.now();
        await compare(context, poll.batches.length === 0);
      }
      context.checkpoint.report();
      healthy();
    }
  } finally {
    await context.checkpoint.close();
  }
}

async function openContext(deps: FeaturesDeps): Promise<FeaturesContext> {
  const { project, kafka, store, clock, telemetry } = deps;
  const { prefix } = project;
  const views = new Map(project.views.map((view) => [topics.view(prefix, view.id), view]));
  const readers = new Readers(project, store, clock);
  const consumer = await kafka.consumer({
    group: groups.features(prefix),
    topics: [...views.keys()],
    maxPollRecords: MAX_POLL_RECORDS,
    async onAssigned(assigned): Promise<Position[]> {
      const owned = new Map<string, OwnedView>();
      for (const place of assigned) {
        const view = views.get(place.topic);
        if (view === undefined)
          throw new Error(
            `features was assigned ${place.topic}, which is no view topic of project ${project.name}`,
          );
        owned.set(placeOf(place), ownView(project, view, place));
      }
      await readers.look();
      await reread(context, [...owned.values()]);
      context.owned = owned;
      return [...owned.values()].map(({ meta }) => (meta.next === 0 ? 'earliest' : meta.next));
    },
  });
  const context: FeaturesContext = {
    ...deps,
    guards: deps.guards ?? ALL_GUARDS,
    consumer,
    checkpoint: new Checkpoint({ kafka, store, consumer, now: () => clock.now() }),
    readers,
    waits: new Waits('features', clock, telemetry),
    owned: new Map(),
  };
  return context;
}

const placeOf = ({ topic, partition }: TopicPartition) => `${topic}:${partition}`;

/** Takes the metas as the store has them; begins a new state where there is none that can be gone on with. */
async function reread(context: FeaturesContext, states: readonly OwnedView[]): Promise<void> {
  const { store, telemetry } = context;
  const found = await store.read(states.map(({ key }) => [keys.meta(key)]));
  for (const [i, state] of states.entries()) {
    const bytes = found[i]?.[0] ?? null;
    state.compactions.clear();
    const building = isBuilding(bytes) && !(await isAbandoned(context, state.view, bytes));
    if (building && !state.building)
      telemetry.note('features', 'a backfill writes', { view: state.view.id, partition: state.partition });
    state.building = building;
    if (building) state.expected = bytes;
    else begin(state, await beginState(context, state, bytes));
  }
}

function begin(state: OwnedView, { bytes, meta }: Begun): void {
  state.expected = bytes;
  state.meta = meta;
  state.kept = new KeptBytes(meta);
}

/** A log that no longer holds what a state needs next: the state is replaced by an empty one with a base. */
async function replaceCut(context: FeaturesContext, { cut }: Poll): Promise<void> {
  for (const { start, ...place } of cut) {
    const state = context.owned.get(placeOf(place));
    if (state === undefined || state.building) continue;
    begin(state, await beginState(context, state, state.expected, { cutAt: start }));
    await context.consumer.seek(state, start);
  }
}

/** Lets view partitions go on, or wait for their readers. */
async function lookAtReaders(context: FeaturesContext): Promise<void> {
  await context.readers.look();
  for (const state of context.owned.values()) {
    tellOverHold(context, state);
    if (!state.paused || isAhead(context, state)) continue;
    state.paused = false;
    context.consumer.resume([state]);
    context.waits.end('readers', state.key);
  }
  for (const { paused, key, view } of context.owned.values())
    if (paused)
      context.waits.note(
        'readers',
        key,
        () => `View ${view.id} waits for ${context.readers.slowest(view)}, which works off its backlog.`,
      );
}

function queuesOf({ owned, telemetry }: FeaturesContext, { batches }: Poll): Queued[] {
  return batches.flatMap((batch) => {
    const state = owned.get(placeOf(batch));
    if (state === undefined || state.building || state.paused) return [];
    const left = batch.highWatermark - (batch.records.at(-1)?.offset ?? 0) - 1;
    telemetry.lag('features', batch.topic, batch.partition, left);
    const records = batch.records.filter(({ offset }) => offset >= state.meta.next);
    return records.length === 0 ? [] : [{ state, records }];
  });
}

/** Folds a commit of each view partition, flushes all of them, and answers with what is left. */
async function workRound(context: FeaturesContext, queues: readonly Queued[]): Promise<Queued[]> {
  const { checkpoint, telemetry } = context;
  const started = performance.now();
  const folded = queues.map(({ state, records }) => foldRecords(context, state, records));
  const foldMs = performance.now() - started;
  const letters = folded.flatMap(({ state, refused }) =>
    refused.map((one) => deadLetterOf(context, state, one)),
  );
  const { results, sendMs, commitMs } = await checkpoint.flush({
    outputs: [letters],
    state: folded.map(({ commit }) => commit),
    offsets: folded.map(({ state, meta }) => ({
      topic: state.topic,
      partition: state.partition,
      offset: meta.next,
    })),
  });
  const conflicts: OwnedView[] = [];
  const grown: Grown[] = [];
  let contributions = 0;
  for (const [i, one] of folded.entries()) {
    const result = results[i];
    if (result?.status === 'committed') {
      settle(context, one);
      contributions += one.contributions;
      grown.push({ state: one.state, commit: one.commit, result });
      continue;
    }
    conflicts.push(one.state);
    const { view, partition } = one.state;
    if (result?.status === 'torn')
      telemetry.note('features', 'torn', { view: view.id, partition, detail: result.detail });
  }
  const compacting = performance.now();
  conflicts.push(...(await compactGrown(context, grown)));
  telemetry.step('features', 'fold', foldMs, contributions);
  telemetry.step('features', 'commit', sendMs + commitMs, contributions);
  telemetry.step('features', 'compact', performance.now() - compacting, contributions);
  await recover(context, [...new Set(conflicts)]);
  await pauseAhead(context, folded);
  return queues.flatMap(({ state, records }, i) => {
    const left = records.slice(folded[i]?.taken ?? records.length);
    return left.length === 0 || state.paused || conflicts.includes(state) ? [] : [{ state, records: left }];
  });
}

/** A commit went through. */
function settle({ clock, telemetry }: FeaturesContext, { state, commit, meta, refused }: Folded): void {
  state.backlog = backlogOf(state.meta, meta, clock.now()) ?? state.backlog;
  state.expected = commit.next;
  state.meta = meta;
  state.kept.note(meta);
  for (const { code } of refused) telemetry.refused('features', code, 1);
  if (meta.frontier !== null) telemetry.frontier(state.view.id, state.partition, meta.frontier);
}

/** What was fetched of a view partition that waits is forgotten, and fetched again when it goes on. */
async function pauseAhead(context: FeaturesContext, folded: readonly Folded[]): Promise<void> {
  for (const { state } of folded) {
    if (state.paused || state.building || !isAhead(context, state)) continue;
    state.paused = true;
    context.telemetry.guarded('pace');
    context.consumer.pause([state]);
    await context.consumer.seek(state, state.meta.next);
  }
}

/** States of servers that have dropped keys since these states began. */
async function withDroppedKeys({ owned, store }: FeaturesContext): Promise<OwnedView[]> {
  const whole = [...owned.values()].filter(({ building }) => !building);
  const now = await store.evictions(whole.map(({ key }) => keys.meta(key)));
  return whole.filter(({ meta: { evictions } }, i) => {
    const counted = now[i];
    return evictions !== null && counted !== undefined && hasEvicted(evictions, counted);
  });
}

/** Reads states again that somebody else has set, and goes where they say. */
async function recover(context: FeaturesContext, states: readonly OwnedView[]): Promise<void> {
  if (states.length === 0) return;
  await reread(context, states);
  for (const state of states) if (!state.building) await context.consumer.seek(state, state.meta.next);
}

/** With nothing to commit, a rolled-back or lost store shows only to who looks; dropped keys do always. */
async function compare(context: FeaturesContext, idle: boolean): Promise<void> {
  await recover(context, await withDroppedKeys(context));
  const looked = [...context.owned.values()].filter(({ building, paused }) => building || paused || idle);
  if (looked.length === 0) return;
  const found = await context.store.read(looked.map(({ key }) => [keys.meta(key)]));
  const moved = looked.filter((state, i) => {
    const bytes = found[i]?.[0] ?? null;
    return state.expected === null || bytes === null || Buffer.compare(bytes, state.expected) !== 0;
  });
  for (const state of looked)
    if (state.building && !moved.includes(state) && (await isAbandoned(context, state.view, state.expected)))
      moved.push(state);
  await recover(context, moved);
}
