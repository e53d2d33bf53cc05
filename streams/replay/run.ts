import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import type { Source } from '../../schemas/project.ts';
import { clockRecord } from '../runtime/clock-record.ts';
import { clockedSources, leastSlack } from './clocked.ts';
import { ReplayStuck } from './errors.ts';
import type { MergedItems, ReplayItem } from './items.ts';
import type { ReplayLock } from './lock.ts';
import type { ReplayAllOptions, ReplayDeps, ReplayResult } from './options.ts';
import { RawTopics } from './raw-topics.ts';
import { refuseLate } from './refuse-late.ts';
import { ReturnedClocks } from './returned.ts';
import { Ticks } from './ticks.ts';

const MAX_SEND = 500;
const CLOCK_EVERY_MS = 20;
/** A wait of this length is told, ms. */
const TELL_AFTER_MS = 10_000;

/** One run of a replay: sends what may go, and the clocks that let it be finished. */
export class ReplayRun {
  readonly #deps: ReplayDeps;
  readonly #options: ReplayAllOptions;
  readonly #merged: MergedItems;
  /** Those that get clocks. */
  readonly #sources: readonly Source[];
  readonly #raw: RawTopics;
  readonly #returned: ReturnedClocks;
  readonly #ticks: Ticks;
  /** ms; see `leastSlack`. */
  readonly #slack: number;
  readonly #sentOf = new Map<string, number>();
  #pending: OutgoingRecord[] = [];
  #clockSent = Number.NEGATIVE_INFINITY;
  #clockSentAt = 0;
  #clocks = 0;
  #sent = 0;
  #skipped = 0;
  #firstTime: number | null = null;
  /** Largest event time sent. */
  #position = Number.NEGATIVE_INFINITY;
  /** Where the declared end is beyond the last event, event time. */
  #endsAt = Number.NEGATIVE_INFINITY;
  #startedAt = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ReplayDeps, options: ReplayAllOptions, merged: MergedItems, lock: ReplayLock) {
    this.#deps = deps;
    this.#options = options;
    this.#merged = merged;
    this.#sources = clockedSources(deps.project, options.inputs);
    this.#slack = leastSlack(deps.project, this.#sources);
    this.#raw = new RawTopics(deps, {
      prefix: deps.project.prefix,
      replay: options.name,
      sources: this.#sources,
      mayWrite: () => lock.hold(),
    });
    this.#returned = new ReturnedClocks(deps, options.name, this.#sources);
    this.#ticks = new Ticks(options.loop, deps.clock);
  }

  /** Reads the ends back: what an earlier run under this name has sent, and which of its clocks came back. */
  async open(): Promise<void> {
    await this.#raw.readBack();
    await this.#returned.open();
  }

  async all(): Promise<ReplayResult> {
    this.#startedAt = this.#deps.clock.now();
    const complete = (await this.#sendAll()) && (await this.#goOn());
    return {
      complete: await this.#end(complete),
      sent: this.#sent,
      sentOf: Object.fromEntries(this.#sentOf),
      skipped: this.#skipped,
      clocks: this.#clocks,
      firstTime: this.#firstTime,
      lastTime: Number.isFinite(this.#position) ? this.#position : null,
      startedAt: this.#startedAt,
      finishedAt: this.#deps.clock.now(),
    };
  }

  async close(): Promise<void> {
    await this.#returned.close();
    await this.#raw.close();
  }

  /** False where it was stopped first. */
  async #sendAll(): Promise<boolean> {
    const byName = new Map(this.#sources.map((source) => [source.name, source]));
    for await (const stretch of this.#merged.read()) {
      const source = byName.get(stretch.source) as Source;
      for (const item of stretch.items)
        if (this.#options.signal.aborted || !(await this.#send(source, item))) {
          await this.#flush();
          return false;
        }
    }
    await this.#flush();
    return true;
  }

  /** Sends one item when its time has come. False where the replay was stopped first. */
  async #send(source: Source, item: ReplayItem): Promise<boolean> {
    const position = Math.max(this.#position, item.time);
    if (this.#raw.holds(this.#raw.topicOf(source), this.#raw.partitionOf(source, item), item.place)) {
      this.#skipped += 1;
      this.#position = position;
      return true;
    }
    if (this.#firstTime === null) await this.#start(item.time);
    if (position >= this.#limit() || this.#dueAt(position) > this.#deps.clock.now()) {
      await this.#flush();
      if (!(await this.#waitUntil(position))) return false;
    }
    if (position - this.#clockSent >= this.#slack / 4) {
      await this.#flush();
      await this.#sendClock('tick', () => position);
    }
    this.#position = position;
    this.#pending.push(this.#raw.recordOf(source, item));
    this.#sentOf.set(source.name, (this.#sentOf.get(source.name) ?? 0) + 1);
    if (this.#pending.length >= MAX_SEND) await this.#flush();
    return true;
  }

  async #flush(): Promise<void> {
    const records = this.#pending;
    if (records.length === 0) return;
    this.#pending = [];
    await this.#raw.send(records, this.#options.signal);
    this.#sent += records.length;
    this.#report();
  }

  /** The first clock goes before every event, to every source, and must have come back from everywhere. */
  async #start(time: number): Promise<void> {
    this.#firstTime = time;
    if (!this.#raw.begun) {
      for (const [name, first] of this.#merged.firstTimes()) {
        const source = this.#sources.find((one) => one.name === name);
        if (source !== undefined) await refuseLate(this.#deps, source, first);
      }
    }
    const first = Math.max(time, this.#returned.finished);
    await this.#ticks.start(time);
    await this.#sendClock('first', () => first);
    if (!(await this.#waitFor(() => this.#returned.finished >= first))) return;
    this.#startedAt = this.#deps.clock.now();
  }

  /** After the last event: on to the declared end, without any pace. False where the replay was stopped first. */
  async #goOn(): Promise<boolean> {
    const { to = null } = this.#options;
    const end = Math.min(to ?? Number.NEGATIVE_INFINITY, this.#deps.clock.now());
    if (this.#clocks === 0 || end <= this.#position) return true;
    if (!(await this.#waitUntil(end, false))) return false;
    this.#endsAt = end;
    return true;
  }

  /** The last clocks bring the watermarks of all sources to the same time. False where the replay was stopped. */
  async #end(complete: boolean): Promise<boolean> {
    if (this.#clocks === 0) return complete;
    const before = this.#clockSent;
    const last = Math.max(this.#position, this.#endsAt);
    const endOf = (source: Source): number => Math.max(before, last + source.outOfOrderness);
    await this.#sendClock('end', endOf);
    const ends = new Map(this.#sources.map((source) => [source.name, endOf(source)]));
    const latest = Math.max(...ends.values());
    const done =
      complete &&
      (await this.#waitFor(() => this.#returned.reached((name) => ends.get(name) ?? latest))) &&
      (await this.#waitFor(async () => latest < (await this.#tickAfter(latest))));
    this.#report();
    return done;
  }

  async #sendClock(kind: ClockMark['kind'], timeOf: (source: Source) => number): Promise<void> {
    const { name, signal } = this.#options;
    this.#clockSent = Math.min(...this.#sources.map(timeOf));
    this.#clockSentAt = this.#deps.clock.now();
    this.#clocks += 1;
    const records = this.#sources.flatMap((source) =>
      Array.from({ length: source.partitions }, (_, partition) =>
        clockRecord(this.#raw.topicOf(source), partition, { time: timeOf(source), kind, replay: name }),
      ),
    );
    await this.#raw.send(records, signal);
  }

  /** Wall time at which a position is due. */
  #dueAt(position: number): number {
    if (!Number.isFinite(this.#options.speed)) return 0;
    return this.#startedAt + (position - (this.#firstTime ?? position)) / this.#options.speed;
  }

  /** Waits until a record at `position` may go. Before and while it waits, clocks let what was sent be finished. */
  async #waitUntil(position: number, paced = true): Promise<boolean> {
    const { clock } = this.#deps;
    return this.#waitFor(async () => {
      await this.#tickAfter(position);
      const allowed = position < this.#limit();
      if (allowed && (!paced || this.#dueAt(position) <= clock.now())) return true;
      // With all finished nothing can fall behind: the clock goes straight to the next event.
      const idle = this.#returned.finished >= this.#clockSent;
      const next = Math.min(idle ? position : Math.min(position, this.#limit()), this.#ticks.next);
      if (next > this.#clockSent && clock.now() - this.#clockSentAt >= CLOCK_EVERY_MS)
        await this.#sendClock('tick', () => next);
      return false;
    });
  }

  /** False where the replay was told to stop first. */
  async #waitFor(done: () => boolean | Promise<boolean>): Promise<boolean> {
    const { clock } = this.#deps;
    let started = clock.now();
    while (!(await done())) {
      if (this.#options.signal.aborted) return false;
      // A wait for the loop or for the pace is none for a clock.
      if (this.#returned.finished >= this.#clockSent) started = clock.now();
      await this.#returned.poll();
      this.#tellWait(clock.now() - started);
    }
    return true;
  }

  #tellWait(waitedMs: number): void {
    const { clock } = this.#deps;
    if (waitedMs > (this.#options.waitLimitMs ?? Number.POSITIVE_INFINITY))
      throw new ReplayStuck(
        `No clock has come back from ${this.#returned.slowest()?.name} for ${Math.round(waitedMs / 1_000)} s: finished ${dateOf(this.#returned.finished)}, sent ${dateOf(this.#clockSent)}. Are ingest, features and inference running?`,
      );
    if (waitedMs < TELL_AFTER_MS || clock.now() - this.#toldAt < TELL_AFTER_MS) return;
    this.#toldAt = clock.now();
    this.#report(null, this.#returned.slowest()?.name ?? null);
  }

  /** Event time up to which records may go now. */
  #limit(): number {
    return Math.min(this.#returned.finished + this.#slack / 2, this.#ticks.next);
  }

  /** The tick that holds the replay, asked again where `position` has come to it; told while it is waited for. */
  async #tickAfter(position: number): Promise<number> {
    const tick = this.#ticks.next;
    if (await this.#ticks.ask(position))
      this.#report(this.#ticks.next === tick && this.#returned.finished >= tick ? tick : null);
    return this.#ticks.next;
  }

  #report(tick: number | null = null, waitsFor: string | null = null): void {
    const { finished } = this.#returned;
    this.#options.onProgress?.({ sent: this.#sent, eventTime: this.#position, finished, tick, waitsFor });
  }
}

const dateOf = (time: number): string => (Number.isFinite(time) ? new Date(time).toISOString() : 'nothing');
