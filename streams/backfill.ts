import { randomUUID } from 'node:crypto';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { quoteName } from '../infrastructure/clickhouse/tables.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { Commit, OnlineStore } from '../infrastructure/redis/port.ts';
import { decodeMeta, encodeMeta, type SourceState, type ViewMeta } from '../processors/meta.ts';
import { partitionOf } from '../processors/partition.ts';
import { ViewState } from '../processors/state.ts';
import { keys, tables, topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import type { Contribution, HistorySection } from '../schemas/records.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { floorTo, HOUR } from '../schemas/time.ts';
import type { View } from '../schemas/view.ts';
import { Checkpoint } from './checkpoint.ts';
import type { Codecs } from './codecs.ts';
import { isTorn } from './life.ts';
import { type Marks, readPast, startFor } from './past.ts';

export interface BackfillStateOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly store: OnlineStore;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
  /** Views to build; all where absent. */
  readonly views?: readonly View[];
  /** E: event time up to which the archive is folded, epoch ms. */
  readonly to: number;
  /** Also where the online store holds a state that Kafka made; without it that is refused. */
  readonly replace?: boolean;
  readonly progress?: (done: BackfillStateProgress) => void;
  readonly signal?: AbortSignal;
}

export type BackfillStateProgress =
  /** `time`: how far the pass has come, event time, epoch ms. */
  | { readonly step: 'fold'; readonly events: number; readonly from: number; readonly time: number }
  | { readonly step: 'write'; readonly view: string; readonly keys: number; readonly bytes: number };

export interface BackfillStateReport {
  readonly events: number;
  readonly from: number;
  readonly to: number;
  readonly views: ReadonlyArray<{
    readonly view: string;
    readonly entities: number;
    readonly keys: number;
    readonly bytes: number;
  }>;
}

/** A view partition in the online store is not free to be written. */
export class StateInTheWay extends MillraceError {
  readonly code = 'state_in_the_way';
  readonly retriable = false;
}

/** A commit blocks every reader of the store while it lasts. */
const MOST_KEYS = 500;
const MOST_BYTES = 512 * 1024;
/** Contributions of an entity are folded this many at a time: shorter logs to compact. */
const FOLD_EVERY = 6 * HOUR;

/** A view partition being built. */
interface Building {
  readonly view: View;
  readonly partition: number;
  readonly key: string;
  readonly state: ViewState;
  waiting: Contribution[];
}

/**
 * Writes the state of views as if features had applied their logs up to the marks it names, and imported
 * history, which has none: the same contributions through the same folding and compaction. First every view
 * partition's log gets a `history` section, so that a rebuild knows that Kafka alone is not all; then the
 * logs; the meta last, which until then says `clearing`, so that nobody reads half a state.
 * Throws StateInTheWay, WarehouseError, StoreError, KafkaError.
 */
export async function backfillState(options: BackfillStateOptions): Promise<BackfillStateReport> {
  const { project, warehouse, store, kafka, to } = options;
  const views = options.views ?? project.views;
  await refuseLiveState(options, views);
  const marks = await readMarks(options, views);
  const imports = await readImports(options, views);
  const from = startFor(views, to - views.reduce((most, { slack }) => Math.max(most, slack), 0));

  const building = views.map((view) =>
    Array.from({ length: view.partitions }, (_, partition): Building => {
      const key = keys.viewPartition(project.prefix, view.id, partition);
      return { view, partition, key, state: new ViewState(view), waiting: [] };
    }),
  );
  let events = 0;
  let folded = Number.NEGATIVE_INFINITY;
  const fold = (time: number): void => {
    folded = time;
    for (const { view, state, waiting } of building.flat()) {
      state.applyAll(waiting);
      waiting.length = 0;
      // Reads of this state begin at E - S: older fine tiles are on their way up the ladder.
      state.prune(Math.min(exactHead(view, to, view.resolution), floorTo(time - view.slack, HOUR)));
    }
  };
  for await (const batch of readPast({
    project,
    warehouse,
    views,
    from,
    to: archiveEnd(marks, to),
    upTo: marks,
  })) {
    options.signal?.throwIfAborted();
    for (const { event, contributions } of batch) {
      if (event.time - folded >= FOLD_EVERY) fold(event.time);
      for (let v = 0; v < contributions.length; v += 1) {
        const contribution = contributions[v];
        if (contribution === null || contribution === undefined) continue;
        const partition = partitionOf(contribution.entity, views[v]?.partitions ?? 1);
        building[v]?.[partition]?.waiting.push(contribution);
      }
    }
    events += batch.length;
    options.progress?.({ step: 'fold', events, from, time: batch.at(-1)?.event.time ?? from });
  }
  fold(to);

  await writeHistorySections(options, building.flat(), { imports: imports.ids, until: to });
  const starts = await viewStarts(kafka, project, views);
  const report: Array<{ view: string; entities: number; keys: number; bytes: number }> = [];
  for (const [v, partitions] of building.entries()) {
    const view = views[v] as View;
    let entities = 0;
    let written = { keys: 0, bytes: 0 };
    for (const part of partitions) {
      const meta: ViewMeta = {
        status: 'ready',
        life: randomUUID(),
        next: starts.get(view.id)?.[part.partition] ?? 0,
        sources: sourceStates(project, view, marks),
        frontier: null,
        base: imports.first,
        baseOpen: false,
        oldestExactHead: exactHead(view, to, view.resolution),
        history: { imports: imports.ids, until: to },
      };
      const done = await writePartition(options, part, meta);
      entities += part.state.entities;
      written = { keys: written.keys + done.keys, bytes: written.bytes + done.bytes };
      options.progress?.({ step: 'write', view: view.id, ...written });
    }
    report.push({ view: view.id, entities, ...written });
  }
  return { events, from, to, views: report };

  async function writePartition(
    _: BackfillStateOptions,
    part: Building,
    meta: ViewMeta,
  ): Promise<{ keys: number; bytes: number }> {
    const metaKey = keys.meta(part.key);
    const clearing = encodeMeta({ ...meta, status: 'clearing' });
    const reach = part.view.sets.reduce((most, set) => Math.max(most, set.reach), 0);
    const { stateExtra } = project.retention;
    const commit = async (change: Pick<Commit, 'expected' | 'next' | 'sets' | 'deletes'>): Promise<void> => {
      const [result] = await store.commit([
        { ...change, metaKey, appends: [], logTtlMs: reach + stateExtra, metaTtlMs: stateExtra },
      ]);
      if (result?.status !== 'committed')
        throw new StateInTheWay(
          `Partition ${part.partition} of view ${part.view.id} was written by another process during the backfill; stop the features streams of ${project.prefix} and run it again.`,
        );
    };
    const [[found = null] = []] = await store.read([[metaKey]]);
    await commit({ expected: found, next: clearing, sets: [], deletes: [] });
    for await (const page of oldKeys(store, part.key)) {
      await commit({ expected: clearing, next: clearing, sets: [], deletes: page });
    }
    let written = { keys: 0, bytes: 0 };
    for (const sets of pages(part, to)) {
      await commit({ expected: clearing, next: clearing, sets, deletes: [] });
      written = {
        keys: written.keys + sets.length,
        bytes: written.bytes + sets.reduce((sum, [, value]) => sum + value.length, 0),
      };
    }
    await commit({ expected: clearing, next: encodeMeta(meta), sets: [], deletes: [] });
    return written;
  }
}

/** floor(E - S, g): what is older is compacted away, as live with the frontier at E. */
function exactHead(view: View, to: number, resolution: number): number {
  return floorTo(to - view.slack, resolution);
}

/** Out-of-order events at or below a mark may be younger than E. */
function archiveEnd(marks: ReadonlyMap<string, Marks>, to: number): number | null {
  return [...marks.values()].some((list) => list.length > 0) ? null : to;
}

function* pages(part: Building, to: number): Generator<Array<readonly [string, Uint8Array]>> {
  let page: Array<readonly [string, Uint8Array]> = [];
  let bytes = 0;
  for (const { entity, set, bytes: value } of part.state.encode(
    exactHead(part.view, to, part.view.resolution),
  )) {
    if (page.length > 0 && (page.length >= MOST_KEYS || bytes + value.length > MOST_BYTES)) {
      yield page;
      page = [];
      bytes = 0;
    }
    page.push([keys.log(part.key, part.view.sets[set]?.suffix ?? 'w', entity), value]);
    bytes += value.length;
  }
  if (page.length > 0) yield page;
}

async function* oldKeys(store: OnlineStore, prefix: string): AsyncGenerator<string[]> {
  let page: string[] = [];
  for await (const key of store.scan(`${prefix}:`)) {
    if (key === keys.meta(prefix)) continue;
    page.push(key);
    if (page.length < MOST_KEYS) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** A state that features already applied something to stays, unless it is to be replaced. */
async function refuseLiveState(options: BackfillStateOptions, views: readonly View[]): Promise<void> {
  if (options.replace === true) return;
  const { project, store } = options;
  const wanted = views.flatMap((view) =>
    Array.from({ length: view.partitions }, (_, partition) => ({ view, partition })),
  );
  const found = await store.read(
    wanted.map(({ view, partition }) => [keys.meta(keys.viewPartition(project.prefix, view.id, partition))]),
  );
  for (const [i, { view, partition }] of wanted.entries()) {
    const bytes = found[i]?.[0] ?? null;
    if (bytes === null || isTorn(bytes)) continue;
    const meta = decodeMeta(bytes);
    const applied = Object.values(meta.sources).some(({ runningMax }) => runningMax !== null);
    if (meta.status === 'ready' && applied)
      throw new StateInTheWay(
        `Nothing was written: partition ${partition} of view ${view.id} holds a live state that has applied events from Kafka. Backfill under another prefix, or say that it may be replaced.`,
      );
  }
}

/** The last archived source offsets of events before E, by source: what the state will have applied of Kafka. */
async function readMarks(
  { project, warehouse, to }: BackfillStateOptions,
  views: readonly View[],
): Promise<ReadonlyMap<string, Marks>> {
  const marks = new Map<string, Marks>();
  for (const name of new Set(views.flatMap(({ sources }) => sources)))
    marks.set(
      name,
      await warehouse.query<{ partition: number; offset: number }>(
        `SELECT source_partition AS partition, max(source_offset) AS offset
        FROM ${quoteName(tables.events(project.prefix, name))}
        WHERE import_id = '' AND time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY partition ORDER BY partition`,
        { to },
      ),
    );
  return marks;
}

/** Which imports the archive holds events of, and the first event of them all, epoch ms (null = none). */
async function readImports(
  { project, warehouse, to }: BackfillStateOptions,
  views: readonly View[],
): Promise<{ readonly ids: readonly string[]; readonly first: number | null }> {
  const ids = new Set<string>();
  let first: number | null = null;
  for (const name of new Set(views.flatMap(({ sources }) => sources))) {
    const rows = await warehouse.query<{ id: string; first: number }>(
      `SELECT import_id AS id, min(toUnixTimestamp64Milli(time)) AS first
      FROM ${quoteName(tables.events(project.prefix, name))}
      WHERE import_id != '' AND time < fromUnixTimestamp64Milli({to:Int64}) GROUP BY id ORDER BY id`,
      { to },
    );
    for (const row of rows) {
      ids.add(row.id);
      first = first === null ? row.first : Math.min(first, row.first);
    }
  }
  return { ids: [...ids], first };
}

/** The marks as features would know them: repeats are skipped, and no header below a mark gives a frontier. */
function sourceStates(
  project: Project,
  view: View,
  marks: ReadonlyMap<string, Marks>,
): Record<string, SourceState> {
  const states: Record<string, SourceState> = {};
  for (const source of project.sources) {
    if (!view.sources.includes(source.name)) continue;
    for (const { partition, offset } of marks.get(source.name) ?? [])
      states[`${topics.raw(project.prefix, source.name)}:${partition}`] = {
        partitions: source.partitions,
        mark: offset,
        runningMax: null,
        watermark: null,
        byClock: false,
        idle: false,
        clockOpen: false,
      };
  }
  return states;
}

async function viewStarts(
  kafka: Kafka,
  project: Project,
  views: readonly View[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const admin = await kafka.admin();
  try {
    const starts = new Map<string, readonly number[]>();
    for (const view of views) {
      const bounds = await admin.offsets(topics.view(project.prefix, view.id));
      starts.set(
        view.id,
        bounds.map(({ start }) => start),
      );
    }
    return starts;
  } finally {
    await admin.close();
  }
}

/** In front of all state that Kafka alone could not make again. */
async function writeHistorySections(
  { project, kafka, codecs }: BackfillStateOptions,
  parts: readonly Building[],
  history: HistorySection,
): Promise<void> {
  const checkpoint = new Checkpoint(kafka, null);
  try {
    await checkpoint.send(
      parts.map(({ view, partition }) => {
        const source = project.sources.find(({ name }) => view.sources.includes(name));
        return {
          topic: topics.view(project.prefix, view.id),
          partition,
          key: null,
          value: codecs.blocks.encode({
            format: 1,
            sections: [
              {
                topic: topics.raw(project.prefix, source?.name ?? ''),
                partition: 0,
                partitions: source?.partitions ?? 1,
                from: 0,
                to: -1,
                runningMax: null,
                watermark: null,
                byClock: false,
                idle: false,
                clockOpen: false,
                history,
                contributions: [],
              },
            ],
          }),
        };
      }),
    );
  } finally {
    await checkpoint.close();
  }
}
