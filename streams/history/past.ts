import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { type EventBatch, readEvents } from '../../infrastructure/clickhouse/read-events.ts';
import { contributionOf, isTooOld } from '../../processors/contribute.ts';
import { reachOf } from '../../processors/window.ts';
import { cappedTime, type EventRecord } from '../../schemas/event.ts';
import { rawTopic, tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import { DAY, floorTo } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';

/** The last offset of each partition of a source that counts. */
export type Marks = ReadonlyArray<{ readonly partition: number; readonly offset: number }>;

export interface PastOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly views: readonly View[];
  /** Event time, epoch ms: from <= time < to. */
  readonly from: number | null;
  readonly to: number | null;
  /** By source: of the events from Kafka only those at or below these offsets. Imported events always count. */
  readonly upTo?: ReadonlyMap<string, Marks>;
  /** Imported events count before this event time, epoch ms; where absent, before `to`. */
  readonly importsTo?: number;
  /** Events that the archive does not hold and that count as if it did, by source, in order of time. */
  readonly extra?: ReadonlyMap<string, readonly EventRecord[]> | undefined;
}

/** An event of the archive and what it gives to each of the views asked for; null where it gives nothing. */
export interface PastEvent {
  readonly source: string;
  readonly event: EventRecord;
  /** The time that a request of this event reads as of: no later than its arrival at Kafka. Epoch ms. */
  readonly readTime: number;
  readonly contributions: ReadonlyArray<Contribution | null>;
}

/** How far back of `time` the archive must be read for reads at `time` to be exact, for these views. */
export function startFor(views: readonly View[], time: number): number {
  const reach = views.reduce(
    (most, view) => Math.max(most, view.readDelay + (view.at?.maxDelay ?? 0) + reachOf(view)),
    0,
  );
  // The old edge of a window moves in steps of a day at most.
  return floorTo(time - reach - DAY, DAY);
}

/**
 * The archived events of the views' sources in order of time, with their contributions: what ingest and
 * features made of them once, refusals included.
 */
export async function* readPast(options: PastOptions): AsyncGenerator<readonly PastEvent[]> {
  const names = new Set(options.views.flatMap(({ sources }) => sources));
  const sources = options.project.sources.filter(({ name }) => names.has(name));
  const streams = await Promise.all(sources.map((source) => contributing(options, source)));
  for (const { name } of sources) {
    const extra = options.extra?.get(name) ?? [];
    if (extra.length > 0) streams.push(extraEvents(options, name, extra));
  }
  const [only] = streams;
  if (streams.length === 1 && only !== undefined) yield* only;
  else yield* mergeByTime(streams);
}

async function contributing(options: PastOptions, source: Source): Promise<AsyncGenerator<PastEvent[]>> {
  const { project, warehouse, views, from, to, importsTo } = options;
  const upTo = options.upTo?.get(source.name);
  const refused = await readRefusals(options, source);
  const raw = rawTopic(project.prefix, source);
  const listening = views.map((view) => view.sources.includes(source.name));

  function contribute(view: View, batch: EventBatch, i: number): Contribution | null {
    const offset = batch.sourceOffsets[i] ?? -1;
    const event = batch.events[i] as EventRecord;
    const contribution = contributionOf(view, source.name, event, offset);
    if (contribution === null || isTooOld(view, contribution)) return null;
    if (refused.size > 0 && batch.importIds[i] === '') {
      if (refused.has(`${view.id} ${raw}:${batch.sourcePartitions[i]}:${offset}`)) return null;
    }
    return contribution;
  }

  async function* generate(): AsyncGenerator<PastEvent[]> {
    for await (const batch of readEvents(warehouse, project, source, {
      from,
      to,
      ...(upTo === undefined ? {} : { upTo }),
    })) {
      const past: PastEvent[] = [];
      for (let i = 0; i < batch.events.length; i += 1) {
        if (importsTo !== undefined && batch.importIds[i] !== '' && (batch.events[i]?.time ?? 0) >= importsTo)
          continue;
        const contributions = views.map((view, v) =>
          listening[v] === true ? contribute(view, batch, i) : null,
        );
        const event = batch.events[i] as EventRecord;
        const arrival = batch.arrivals[i] ?? Number.NaN;
        const readTime = cappedTime(event.time, Number.isNaN(arrival) ? null : arrival);
        past.push({ source: source.name, event, readTime, contributions });
      }
      yield past;
    }
  }
  return generate();
}

async function* extraEvents(
  { views, from, to }: PastOptions,
  source: string,
  extra: readonly EventRecord[],
): AsyncGenerator<PastEvent[]> {
  const listening = views.map((view) => view.sources.includes(source));
  yield extra
    .filter(({ time }) => (from === null || time >= from) && (to === null || time < to))
    .map((event) => ({
      source,
      event,
      readTime: event.time,
      contributions: views.map((view, v) => {
        const contribution = listening[v] === true ? contributionOf(view, source, event, -1) : null;
        return contribution === null || isTooOld(view, contribution) ? null : contribution;
      }),
    }));
}

/** Contributions that features refused once, as `view topic:partition:offset`. */
async function readRefusals(
  { project, warehouse }: PastOptions,
  source: Source,
): Promise<ReadonlySet<string>> {
  const rows = await warehouse.query<{ writer: string; topic: string; partition: number; offset: number }>(
    `SELECT writer, source_topic AS topic, source_partition AS partition, source_offset AS offset
    FROM ${tables.deadLetters(project.prefix, source.name)} FINAL WHERE stage = 'features'`,
  );
  return new Set(
    rows.map(({ writer, topic, partition, offset }) => {
      const view = writer.slice(0, writer.lastIndexOf(':'));
      return `${view} ${topic}:${partition}:${offset}`;
    }),
  );
}

async function* mergeByTime(
  streams: ReadonlyArray<AsyncGenerator<PastEvent[]>>,
): AsyncGenerator<PastEvent[]> {
  const heads: Array<{ stream: AsyncGenerator<PastEvent[]>; batch: readonly PastEvent[]; at: number }> = [];
  for (const stream of streams) {
    const first = await stream.next();
    if (first.done !== true && first.value.length > 0) heads.push({ stream, batch: first.value, at: 0 });
  }
  let merged: PastEvent[] = [];
  while (heads.length > 0) {
    let earliest = 0;
    for (let h = 1; h < heads.length; h += 1) if (timeOf(heads[h]) < timeOf(heads[earliest])) earliest = h;
    const head = heads[earliest];
    if (head === undefined) break;
    const event = head.batch[head.at];
    if (event !== undefined) merged.push(event);
    head.at += 1;
    if (head.at < head.batch.length) continue;
    const next = await head.stream.next();
    if (next.done === true) heads.splice(earliest, 1);
    else {
      head.batch = next.value;
      head.at = 0;
    }
    if (merged.length > 10_000) {
      yield merged;
      merged = [];
    }
  }
  if (merged.length > 0) yield merged;
}

function timeOf(head: { readonly batch: readonly PastEvent[]; readonly at: number } | undefined): number {
  return head?.batch[head.at]?.event.time ?? Number.POSITIVE_INFINITY;
}
