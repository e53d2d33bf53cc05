import type { OutgoingRecord } from '../infrastructure/kafka/port.ts';
import { type Progress, watermarkOf } from '../processors/lateness.ts';
import type { Segment } from '../processors/segment.ts';
import { topics } from '../schemas/names.ts';
import type { Project, Source } from '../schemas/project.ts';
import type { Contribution, Section } from '../schemas/records.ts';
import { floorTo } from '../schemas/time.ts';
import type { View } from '../schemas/view.ts';
import type { Codecs } from './codecs.ts';

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
      const shared = segment === undefined ? new Map<string, Contribution[][]>() : split(segment);
      for (const viewPartition of this.#viewPartitions) {
        const { view, partition } = viewPartition;
        if (!view.sources.includes(state.source.name)) continue;
        const contributions = shared.get(view.id)?.[partition] ?? [];
        const forced = segment !== undefined && segment.clock !== null;
        if (
          contributions.length === 0 &&
          !forced &&
          this.#wants(state, progress, viewPartition, now) !== 'now'
        )
          continue;
        const section = sectionOf(state, progress, segment, contributions);
        const list = all.get(viewPartition);
        if (list === undefined) all.set(viewPartition, [{ of: state, section }]);
        else list.push({ of: state, section });
      }
    }
    return all;
  }

  /** One record a view partition. */
  blocks(sections: Sections): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    for (const [{ topic, partition }, list] of sections)
      records.push({
        topic,
        partition,
        key: null,
        value: this.#codecs.blocks.encode({ format: 1, sections: list.map(({ section }) => section) }),
      });
    return records;
  }

  /** The sections are acknowledged: remember who has heard what. */
  sent(sections: Sections, now: number): void {
    const announced = new Map<SourcePartition, number>();
    for (const [viewPartition, list] of sections)
      for (const { of, section } of list) {
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

function sectionOf(
  state: SourcePartition,
  progress: Progress,
  segment: Segment<unknown> | undefined,
  contributions: Contribution[],
): Section {
  return {
    topic: state.topic,
    partition: state.partition,
    partitions: state.partitions,
    from: segment?.from ?? progress.next,
    to: segment?.to ?? progress.next - 1,
    runningMax: progress.runningMax,
    watermark: watermarkOf(progress.runningMax, state.source.outOfOrderness),
    byClock: progress.byClock,
    idle: state.idle,
    clockOpen: progress.clockOpen,
    history: null,
    contributions,
  };
}

/** Contributions of a segment by view and partition of the view, in source order. */
function split(segment: Segment<unknown>): Map<string, Contribution[][]> {
  const byView = new Map<string, Contribution[][]>();
  for (const { view, contributions, partitions } of segment.routed) {
    const lists = Array.from({ length: view.partitions }, (): Contribution[] => []);
    for (let i = 0; i < contributions.length; i += 1) {
      const contribution = contributions[i];
      if (contribution !== undefined) lists[partitions[i] ?? 0]?.push(contribution);
    }
    byView.set(view.id, lists);
  }
  return byView;
}
