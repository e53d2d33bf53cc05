import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { type Progress, watermarkOf } from '../../processors/lateness.ts';
import type { Segment } from '../../processors/segment.ts';
import { topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { Contribution, Section } from '../../schemas/records/block.ts';
import { floorTo } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import type { Codecs } from '../runtime/codecs.ts';

/** What the announcer must know of a source partition that its process owns. */
export interface SourcePartition {
  readonly source: Source;
  readonly topic: string;
  readonly partition: number;
  readonly partitions: number;
  progress: Progress;
  idle: boolean;
  /** Tell every view partition at once: new owner, a partition that fell idle or woke, a clock. */
  announce: boolean;
}

/** At most one marker to a view partition in this time, ms. */
const MARKER_EVERY_MS = 20;
/** A view partition hears of every source partition this often at least, ms. */
const REPEAT_EVERY_MS = 30_000;

/** Bounds a record, and with it a commit: with three logs an entity it stays below 500 keys. */
const MAX_CONTRIBUTIONS = 150;

interface ViewPartition {
  readonly view: View;
  readonly partition: number;
  readonly topic: string;
}

interface Heard {
  /** Watermark rounded down to the view's resolution, as last sent. */
  floor: number;
  at: number;
}

/** Sections to send, by view partition, and what the receivers will have heard then. */
export type Sections = ReadonlyMap<
  ViewPartition,
  ReadonlyArray<{ readonly of: SourcePartition; readonly section: Section }>
>;

/**
 * Decides which view partitions must hear of which source partitions: those that get contributions, those
 * for which a watermark passed a tile's edge (a marker, throttled), and all of them where something
 * happened that cannot wait.
 */
export class Announcer {
  readonly #codecs: Codecs;
  readonly #viewPartitions: readonly ViewPartition[];
  readonly #heard = new WeakMap<SourcePartition, Map<ViewPartition, Heard>>();
  #pending = false;

  constructor(project: Project, codecs: Codecs) {
    this.#codecs = codecs;
    this.#viewPartitions = project.views.flatMap((view) =>
      Array.from({ length: view.partitions }, (_, partition) => ({
        view,
        partition,
        topic: topics.view(project.prefix, view.id),
      })),
    );
  }

  /** True while a marker is held back by the throttle: poll again soon. */
  get pending(): boolean {
    return this.#pending;
  }

  /** Whether anything must be said without waiting for the next records. */
  due(states: Iterable<SourcePartition>, now: number): boolean {
    this.#pending = false;
    let due = false;
    for (const state of states)
      for (const viewPartition of this.#viewPartitions) {
        if (!viewPartition.view.sources.includes(state.source.name)) continue;
        const want = this.#wants(state, state.progress, viewPartition, now);
        if (want === 'now') due = true;
        else if (want === 'soon') this.#pending = true;
      }
    return due;
  }

  sections(
    states: Iterable<SourcePartition>,
    segments: ReadonlyMap<SourcePartition, Segment<unknown>>,
    now: number,
  ): Sections {
    const all = new Map<ViewPartition, Array<{ of: SourcePartition; section: Section }>>();
    for (const state of states) {
      const segment = segments.get(state);
      const progress = segment?.progress ?? state.progress;
      const shared = segment === undefined ? new Map<string, Share[]>() : split(segment);
      for (const viewPartition of this.#viewPartitions) {
        const { view, partition } = viewPartition;
        if (!view.sources.includes(state.source.name)) continue;
        const share = shared.get(view.id)?.[partition] ?? NOTHING;
        const forced = segment !== undefined && segment.clock !== null;
        const silent = share.contributions.length === 0 && !forced;
        if (silent && this.#wants(state, progress, viewPartition, now) !== 'now') continue;
        const list = all.get(viewPartition) ?? [];
        all.set(viewPartition, list);
        for (const section of sectionsOf(state, progress, segment, share, view))
          list.push({ of: state, section });
      }
    }
    return all;
  }

  /** One record a view partition, more where a record would hold too many contributions. */
  blocks(sections: Sections): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    for (const [{ topic, partition }, list] of sections) {
      let pack: Section[] = [];
      let packed = 0;
      const flush = (): void => {
        const value = this.#codecs.blocks.encode({ format: 1, sections: pack });
        records.push({ topic, partition, key: null, value });
        pack = [];
        packed = 0;
      };
      for (const { section } of list) {
        if (packed + section.contributions.length > MAX_CONTRIBUTIONS && pack.length > 0) flush();
        pack.push(section);
        packed += section.contributions.length;
      }
      if (pack.length > 0) flush();
    }
    return records;
  }

  /** The sections are acknowledged: remember who has heard what. */
  sent(sections: Sections, now: number): void {
    const announced = new Map<SourcePartition, number>();
    for (const [viewPartition, list] of sections)
      for (const [i, { of, section }] of list.entries()) {
        // Of several pieces for one source partition the last one counts.
        if (list[i + 1]?.of === of) continue;
        const heard = this.#heard.get(of) ?? new Map<ViewPartition, Heard>();
        this.#heard.set(of, heard);
        const floor =
          section.watermark === null
            ? Number.NEGATIVE_INFINITY
            : floorTo(section.watermark, viewPartition.view.resolution);
        heard.set(viewPartition, { floor, at: now });
        announced.set(of, (announced.get(of) ?? 0) + 1);
      }
    for (const [state, count] of announced)
      if (state.announce && count === this.#listeners(state.source)) state.announce = false;
  }

  #listeners(source: Source): number {
    return this.#viewPartitions.reduce((n, { view }) => n + (view.sources.includes(source.name) ? 1 : 0), 0);
  }

  #wants(
    state: SourcePartition,
    progress: Progress,
    viewPartition: ViewPartition,
    now: number,
  ): 'now' | 'soon' | 'no' {
    if (state.announce) return 'now';
    const heard = this.#heard.get(state)?.get(viewPartition);
    if (heard === undefined) return 'now';
    if (now - heard.at >= REPEAT_EVERY_MS) return 'now';
    const watermark = watermarkOf(progress.runningMax, state.source.outOfOrderness);
    if (watermark === null || floorTo(watermark, viewPartition.view.resolution) <= heard.floor) return 'no';
    return now - heard.at >= MARKER_EVERY_MS ? 'now' : 'soon';
  }
}

/** The header after the last piece is that of the whole segment; after an earlier one, that of its last event. */
function* sectionsOf(
  state: SourcePartition,
  progress: Progress,
  segment: Segment<unknown> | undefined,
  share: Share,
  view: View,
): Generator<Section> {
  const { contributions, after } = share;
  const from = progress.fed[view.id] ?? segment?.from ?? progress.next;
  let at = 0;
  for (; contributions.length - at > MAX_CONTRIBUTIONS; at += MAX_CONTRIBUTIONS) {
    const last = at + MAX_CONTRIBUTIONS - 1;
    yield {
      ...headerOf(state, after[last] ?? progress),
      from,
      to: contributions[last]?.offset ?? from - 1,
      contributions: contributions.slice(at, last + 1),
    };
  }
  yield {
    ...headerOf(state, progress),
    from,
    to: segment?.to ?? progress.next - 1,
    contributions: contributions.slice(at),
  };
}

function headerOf(
  state: SourcePartition,
  progress: Progress,
): Omit<Section, 'from' | 'to' | 'contributions'> {
  return {
    topic: state.topic,
    partition: state.partition,
    partitions: state.partitions,
    runningMax: progress.runningMax,
    watermark: watermarkOf(progress.runningMax, state.source.outOfOrderness),
    byClock: progress.byClock,
    idle: state.idle,
    clockOpen: progress.clockOpen,
    history: null,
  };
}

/** Contributions of a segment to one partition of a view, in source order, and the progress after each. */
interface Share {
  readonly contributions: Contribution[];
  readonly after: Progress[];
}

const NOTHING: Share = { contributions: [], after: [] };

function split(segment: Segment<unknown>): Map<string, Share[]> {
  const byView = new Map<string, Share[]>();
  for (const { view, contributions, partitions, after } of segment.routed) {
    const shares = Array.from({ length: view.partitions }, (): Share => ({ contributions: [], after: [] }));
    for (let i = 0; i < contributions.length; i += 1) {
      const contribution = contributions[i];
      const share = shares[partitions[i] ?? 0];
      if (contribution === undefined || share === undefined) continue;
      share.contributions.push(contribution);
      share.after.push(after[i] ?? segment.progress);
    }
    byView.set(view.id, shares);
  }
  return byView;
}
