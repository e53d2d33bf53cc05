import type { Section } from '../schemas/records/block.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { floorTo } from '../schemas/time.ts';
import type { View } from '../schemas/view.ts';

/** What the log of a view partition has said of one source partition. */
export interface SourceState {
  /** Number of partitions of its topic. */
  readonly partitions: number;
  /** Last source offset applied: a contribution at or below it is a repeat. */
  readonly mark: number;
  /** The mark that this life of the state began with: -1, or what a backfill had taken from the archive. */
  readonly begin: number;
  readonly runningMax: number | null;
  readonly watermark: number | null;
  readonly byClock: boolean;
  readonly idle: boolean;
  /** Grows with every owner of the partition, and when it falls idle or wakes. */
  readonly turn: number;
  /** When the broker appended the raw record at the mark, epoch ms. */
  readonly appendTime: number | null;
  readonly clockOpen: boolean;
}

/** All that the owner of a view partition and its readers must agree on. Event times in epoch ms, null for minus infinity. */
export interface ViewMeta {
  /**
   * `clearing` while logs of an older life are being deleted, `building` while a backfill writes: nothing is read,
   * and who finds it clears on, but leaves a backfill alone.
   */
  readonly status: 'ready' | 'clearing' | 'building';
  /** Changes with every life of the state, so that no clearing is taken for another. */
  readonly life: string;
  /** Next offset of the view topic. */
  readonly next: number;
  /** By `topic:partition` of the source. */
  readonly sources: Readonly<Record<string, SourceState>>;
  /** Below it no tile changes any more. */
  readonly frontier: number | null;
  /** Windows that reach below it are not known. */
  readonly base: number | null;
  /** True while `base` still rises with the first header of each source partition (the log was cut). */
  readonly baseOpen: boolean;
  /** Heads below it cannot be read. */
  readonly oldestExactHead: number | null;
  /** What a backfill built this state from; null where Kafka alone is all. */
  readonly history: { readonly imports: readonly string[]; readonly until: number } | null;
  /** Contributions of the log that this life took, and that it refused; repeats apart. */
  readonly applied: number;
  readonly refused: number;
  /** Bytes appended to the logs in this life, and how many of them were kept for readers when that was last measured. */
  readonly appendedBytes: number;
  readonly heldBytes: number;
  /**
   * What the server of the online store had dropped when this life began (its policy is to drop nothing): a log that is missing
   * while it has dropped more may have been there. Null where a life began before this was written down.
   */
  readonly evictions: { readonly server: string; readonly keys: number } | null;
}

export class UnknownMetaFormat extends MillraceError {
  readonly code = 'unknown_meta_format';
  readonly retriable = false;
}

/** How the name of a life begins that an owner builds from the archive by itself. */
export const REBUILD = 'rebuild-';

const FORMAT = 3;

export function freshMeta(
  life: string,
  next: number,
  cut: boolean,
  evictions: ViewMeta['evictions'] = null,
): ViewMeta {
  return {
    status: 'ready',
    life,
    next,
    sources: {},
    frontier: null,
    base: null,
    baseOpen: cut,
    oldestExactHead: null,
    history: null,
    applied: 0,
    refused: 0,
    appendedBytes: 0,
    heldBytes: 0,
    evictions,
  };
}

/** Text, so that a person can read it; the same meta always gives the same bytes. */
export function encodeMeta(meta: ViewMeta): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, ...meta }));
}

export function decodeMeta(bytes: Uint8Array): ViewMeta {
  let parsed: { format?: unknown } & ViewMeta;
  try {
    parsed = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
    ) as typeof parsed;
  } catch (cause) {
    throw new UnknownMetaFormat(
      'The meta of a view partition is not one of ours; remove the state and rebuild it.',
      { cause },
    );
  }
  const { format, ...meta } = parsed;
  if (format === 2) return fromFormat2(meta);
  if (format !== FORMAT)
    throw new UnknownMetaFormat(
      `The meta of a view partition has format ${String(format)}; this version of Millrace reads format ${FORMAT}. Run the version that wrote it, or remove the state and rebuild it.`,
    );
  // A life that began before evictions were written down.
  return meta.evictions === undefined ? { ...meta, evictions: null } : meta;
}

/** Format 2 knew no turns and kept nothing for readers. */
function fromFormat2(meta: ViewMeta): ViewMeta {
  const sources = Object.fromEntries(
    Object.entries(meta.sources).map(([key, source]) => [key, { ...source, turn: 0, appendTime: null }]),
  );
  return { ...meta, sources, appendedBytes: 0, heldBytes: 0, evictions: null };
}

/**
 * Takes in what a section's header says. A header below the mark changes nothing; one at the mark may
 * (a marker of a partition that fell idle or met a clock), unless it tells of an older turn: then its sender had lost the
 * partition. The frontier never falls. Where the log was told
 * of nothing between the mark and `from` (this version of the view was not fed then), or was cut there, the
 * base rises past every event that may be missing.
 */
export function applyHeader(view: ViewTopics, meta: ViewMeta, section: Section): ViewMeta {
  const key = `${section.topic}:${section.partition}`;
  const known = meta.sources[key];
  const older = known !== undefined && section.turn < known.turn;
  if (known !== undefined && section.to < known.mark) {
    if (section.turn <= known.turn) return meta;
    // A new owner works again what an older one had sent: its idleness counts at once, the rest is known.
    const idleness = { ...meta.sources, [key]: { ...known, idle: section.idle, turn: section.turn } };
    return { ...meta, sources: idleness, frontier: later(meta.frontier, frontierOf(view, idleness)) };
  }
  if (known !== undefined && section.to === known.mark && older) return meta;
  const sources = {
    ...meta.sources,
    [key]: {
      partitions: section.partitions,
      mark: Math.max(section.to, known?.mark ?? -1),
      begin: known?.begin ?? -1,
      runningMax: section.runningMax,
      watermark: later(section.watermark, known?.watermark ?? null),
      byClock: section.byClock,
      idle: older ? known.idle : section.idle,
      turn: older ? known.turn : section.turn,
      appendTime: section.appendTime,
      clockOpen: section.clockOpen,
    },
  };
  const hole = section.from > (known?.mark ?? -1) + 1 || (meta.baseOpen && known === undefined);
  const base = hole && section.runningMax !== null ? later(meta.base, section.runningMax + 1) : meta.base;
  return { ...meta, sources, base, frontier: later(meta.frontier, frontierOf(view, sources)) };
}

/** The raw topics a view listens to. */
export interface ViewTopics {
  readonly topics: readonly string[];
  /** Of a partition of a local view: the one source partition that feeds it, `topic:partition`. Null or absent: all of them do. */
  readonly own?: string | null;
}

/** The source partition that alone feeds a partition of a local view, `topic:partition`; null of other views. */
export function ownPartition(
  { local }: Pick<View, 'local'>,
  [topic]: readonly string[],
  partition: number,
): string | null {
  return local && topic !== undefined ? `${topic}:${partition}` : null;
}

/**
 * The minimum of the watermarks over all partitions of all sources, idle ones left out. A partition never
 * heard of holds it at minus infinity (null). When all are idle it is the largest running maximum (of one that a
 * clock set, its watermark), or the least of the watermarks where the broker's clock has moved all of them beyond it;
 * partitions that never had an event do not count then. Of a local view it is the watermark of the one partition that feeds it.
 */
export function frontierOf(view: ViewTopics, sources: ViewMeta['sources']): number | null {
  if (view.own != null) return sources[view.own]?.watermark ?? null;
  let least: number | null = null;
  let allIdle = true;
  let largest: number | null = null;
  let leastIdle: number | null = null;
  for (const topic of view.topics) {
    const partitions = sources[`${topic}:0`]?.partitions ?? anyPartitions(topic, sources);
    if (partitions === 0) return null;
    for (let partition = 0; partition < partitions; partition += 1) {
      const source = sources[`${topic}:${partition}`];
      if (source === undefined) return null;
      const { watermark } = source;
      if (source.idle) {
        largest = later(largest, source.byClock ? watermark : source.runningMax);
        if (watermark !== null) leastIdle = leastIdle === null ? watermark : Math.min(leastIdle, watermark);
        continue;
      }
      allIdle = false;
      if (watermark === null) return null;
      least = least === null ? watermark : Math.min(least, watermark);
    }
  }
  return allIdle ? later(largest, leastIdle) : least;
}

function anyPartitions(topic: string, sources: ViewMeta['sources']): number {
  for (const [key, source] of Object.entries(sources))
    if (key.startsWith(`${topic}:`)) return source.partitions;
  return 0;
}

function later(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.max(a, b);
}

/**
 * The head below which this state may be compacted away: floor(frontier - slack, g), or what readers still ask for
 * (`held`, epoch ms), whichever is less; null before a frontier.
 */
export function exactHeadOf(
  view: View,
  meta: ViewMeta,
  resolution: number = view.resolution,
  held: number = Number.POSITIVE_INFINITY,
): number | null {
  return meta.frontier === null ? null : floorTo(Math.min(meta.frontier - view.slack, held), resolution);
}
