import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { Progress } from '../../processors/lateness.ts';
import type { Segment } from '../../processors/segment.ts';
import { topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Section } from '../../schemas/records/block.ts';
import { floorTo } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { ALL_GUARDS, type Guards } from '../runtime/guards.ts';
import type { RawPartition } from './raw-partition.ts';
import {
  contributionBytes,
  MAX_CONTRIBUTIONS,
  MAX_SECTION_BYTES,
  NOTHING,
  type Share,
  sectionsOf,
  sharesOf,
} from './sections.ts';

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
  readonly floor: number;
  readonly at: number;
}

/** Sections to send, by view partition, and what the receivers will have heard then. */
export type Sections = ReadonlyMap<
  ViewPartition,
  ReadonlyArray<{ readonly of: RawPartition; readonly section: Section }>
>;

const NO_SEGMENTS: ReadonlyMap<RawPartition, Segment<unknown>> = new Map();

/**
 * Decides which view partitions must hear of which source partitions: those that get contributions, those
 * for which a watermark passed a tile's edge (a marker, throttled), and all of them where something
 * happened that cannot wait.
 */
export class Announcer {
  readonly #codecs: Pick<Codecs, 'blocks'>;
  readonly #viewPartitions: readonly ViewPartition[];
  readonly #heard = new WeakMap<RawPartition, Map<ViewPartition, Heard>>();
  readonly #listening = new Map<string, readonly ViewPartition[]>();
  readonly #turns: boolean;
  #pending = false;

  constructor(
    project: Project,
    codecs: Pick<Codecs, 'blocks'>,
    { turns }: Pick<Guards, 'turns'> = ALL_GUARDS,
  ) {
    this.#codecs = codecs;
    this.#turns = turns;
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
  due(states: Iterable<RawPartition>, now: number): boolean {
    this.#pending = false;
    let due = false;
    for (const state of states)
      for (const viewPartition of this.#listeners(state)) {
        const want = this.#wants(state, state.progress, viewPartition, now);
        if (want === 'now') due = true;
        else if (want === 'soon') this.#pending = true;
      }
    return due;
  }

  /** Whether a watermark of `time` would pass an edge that some view partition has not heard of. */
  passesEdge(state: RawPartition, time: number): boolean {
    return this.#listeners(state).some((viewPartition) => {
      if (viewPartition.view.local) return false;
      const floor = this.#heard.get(state)?.get(viewPartition)?.floor ?? Number.NEGATIVE_INFINITY;
      return floorTo(state.toldTo(viewPartition.view, time), viewPartition.view.resolution) > floor;
    });
  }

  /** The newest event of the partition lies in a tile that some view cannot read yet. */
  hidesNewest(state: RawPartition): boolean {
    const { runningMax } = state.progress;
    const watermark = state.watermark();
    if (runningMax === null || watermark === null) return false;
    return this.#listeners(state).some(
      ({ view }) =>
        !view.local &&
        floorTo(state.toldTo(view, watermark), view.resolution) <= floorTo(runningMax, view.resolution),
    );
  }

  /** An empty section of each partition for each of its view partitions. */
  markers(states: Iterable<RawPartition>): Sections {
    const all = new Map<ViewPartition, Array<{ of: RawPartition; section: Section }>>();
    for (const state of states)
      for (const viewPartition of this.#listeners(state))
        add(all, viewPartition, state, state.progress, undefined, NOTHING);
    return all;
  }

  sections(
    states: Iterable<RawPartition>,
    now: number,
    segments: ReadonlyMap<RawPartition, Segment<unknown>> = NO_SEGMENTS,
  ): Sections {
    const all = new Map<ViewPartition, Array<{ of: RawPartition; section: Section }>>();
    for (const state of states) {
      const segment = segments.get(state);
      const progress = segment?.progress ?? state.progress;
      const shared = segment === undefined ? null : sharesOf(segment);
      for (const viewPartition of this.#listeners(state)) {
        const share = shared?.get(viewPartition.view.id)?.[viewPartition.partition] ?? NOTHING;
        const forced = segment !== undefined && segment.clock !== null;
        const silent = share.contributions.length === 0 && !forced;
        if (silent && this.#wants(state, progress, viewPartition, now) !== 'now') continue;
        add(all, viewPartition, state, progress, segment, share);
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
      let bytes = 0;
      const flush = (): void => {
        const told = this.#turns ? pack : pack.map((section) => ({ ...section, turn: 0 }));
        const value = this.#codecs.blocks.encode({ format: 1, sections: told });
        records.push({ topic, partition, key: null, value });
        pack = [];
        packed = 0;
        bytes = 0;
      };
      for (const { section } of list) {
        const { contributions } = section;
        const more = contributions.reduce((sum, one) => sum + contributionBytes(one), 0);
        const full = packed + contributions.length > MAX_CONTRIBUTIONS || bytes + more > MAX_SECTION_BYTES;
        if (full && pack.length > 0) flush();
        pack.push(section);
        packed += contributions.length;
        bytes += more;
      }
      if (pack.length > 0) flush();
    }
    return records;
  }

  /** The sections are acknowledged: remember who has heard what. */
  sent(sections: Sections, now: number): void {
    const announced = new Map<RawPartition, number>();
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
      if (state.announce && count === this.#listeners(state).length) state.announce = false;
  }

  /** Of a local view the partition beside ours alone. */
  #listeners({ source: { name }, partition: own }: RawPartition): readonly ViewPartition[] {
    const key = `${name}:${own}`;
    let listeners = this.#listening.get(key);
    if (listeners === undefined) {
      listeners = this.#viewPartitions.filter(
        ({ view, partition }) => view.sources.includes(name) && (!view.local || partition === own),
      );
      this.#listening.set(key, listeners);
    }
    return listeners;
  }

  #wants(
    state: RawPartition,
    progress: Progress,
    viewPartition: ViewPartition,
    now: number,
  ): 'now' | 'soon' | 'no' {
    if (state.announce) return 'now';
    const heard = this.#heard.get(state)?.get(viewPartition);
    if (heard === undefined) return 'now';
    if (now - heard.at >= REPEAT_EVERY_MS) return 'now';
    const told = state.told(viewPartition.view, progress);
    if (told === null) return 'no';
    if (floorTo(told, viewPartition.view.resolution) <= heard.floor) return 'no';
    // A local view is read in the same pass, at the head that the watermark after it allows.
    return viewPartition.view.local || now - heard.at >= MARKER_EVERY_MS ? 'now' : 'soon';
  }
}

function add(
  all: Map<ViewPartition, Array<{ of: RawPartition; section: Section }>>,
  viewPartition: ViewPartition,
  state: RawPartition,
  progress: Progress,
  segment: Segment<unknown> | undefined,
  share: Share,
): void {
  const list = all.get(viewPartition) ?? [];
  all.set(viewPartition, list);
  for (const section of sectionsOf(state, progress, segment, share, viewPartition.view))
    list.push({ of: state, section });
}
