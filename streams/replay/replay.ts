import type { Kafka, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { watermarkOf } from '../../processors/lateness.ts';
import { partitionOf } from '../../processors/partition.ts';
import type { Clock } from '../../schemas/clock.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { headers, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { decodeProgress, progressKey } from '../ingest/progress.ts';
import { clockRecord } from '../runtime/clock-record.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { RawTopic } from './raw-topic.ts';
import { ReturnedClocks } from './returned.ts';
import { type LoopLimit, Ticks } from './ticks.ts';

/** A record to replay: an event to encode, or bytes (null among them) sent as they are. */
export interface ReplayItem {
  /** Ascending over the replay, the same at every reading. */
  readonly place: number;
  /** Where it stands in event time, epoch ms. */
  readonly time: number;
  readonly key: string;
  readonly event: EventRecord | null;
  readonly bytes: Uint8Array | null;
  /** The encoded event is sent without its last byte. */
  readonly cut?: boolean;
}

export interface ReplayDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly clock: Clock;
}

export interface ReplayOptions {
  readonly source: string;
  /** Names the replay: one that is run again under its name goes on where it stopped. */
  readonly name: string;
  readonly items: AsyncIterable<readonly ReplayItem[]>;
  /** Event time per wall time; Infinity = as fast as the answers come. */
  readonly speed: number;
  readonly signal: AbortSignal;
  /** Longest wait for a clock to come back, ms of wall time; default without limit. */
  readonly waitLimitMs?: number;
  /** Holds the replay at each tick of event time until it is finished. */
  readonly loop?: LoopLimit;
  readonly onProgress?: (progress: ReplayProgress) => void;
}

export interface ReplayProgress {
  readonly sent: number;
  /** Event time of the last record sent, epoch ms. */
  readonly eventTime: number;
  /** Event time that has come back finished from every partition. */
  readonly finished: number;
  /** The tick that the replay waits for, event time; null where it does not. */
  readonly tick: number | null;
}

export interface ReplayResult {
  /** Records sent, clocks apart. */
  readonly sent: number;
  /** Records that an earlier run under this name had sent already. */
  readonly skipped: number;
  readonly clocks: number;
  readonly firstTime: number | null;
  readonly lastTime: number | null;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** False where it was stopped before the end. */
  readonly complete: boolean;
}

export class ReplayRefused extends MillraceError {
  readonly code = 'replay_refused';
  readonly retriable = false;
}

export class ReplayStuck extends MillraceError {
  readonly code = 'replay_stuck';
  readonly retriable = false;
}

const MAX_SEND = 500;
const CLOCK_EVERY_MS = 20;

/**
 * Sends a source's events to its raw topic, bringing its own clock: clock records say how far event time has
 * come, to every partition, and come back through every stream on the predictions topics when all before them
 * is answered. Nothing is sent more than half a slack ahead of what has come back, so no reader is ever behind.
 */
export async function replay(deps: ReplayDeps, options: ReplayOptions): Promise<ReplayResult> {
  const source = sourceOf(deps.project, options.source);
  const run = new Replay(deps, options, source);
  try {
    await run.open();
    return await run.all();
  } finally {
    await run.close();
  }
}

class Replay {
  readonly #deps: ReplayDeps;
  readonly #options: ReplayOptions;
  readonly #source: Source;
  readonly #topic: string;
  readonly #raw: RawTopic;
  readonly #returned: ReturnedClocks;
  readonly #ticks: Ticks;
  /** The least slack of the views that the source feeds, ms. */
  readonly #slack: number;
  #clockSent = Number.NEGATIVE_INFINITY;
  #clockSentAt = 0;
  #clocks = 0;
  #sent = 0;
  #skipped = 0;
  #firstTime: number | null = null;
  /** Largest event time sent. */
  #position = Number.NEGATIVE_INFINITY;
  #startedAt = 0;

  constructor(deps: ReplayDeps, options: ReplayOptions, source: Source) {
    this.#deps = deps;
    this.#options = options;
    this.#source = source;
    this.#topic = topics.raw(deps.project.prefix, source.name);
    this.#raw = new RawTopic(deps, this.#topic, options.name);
    this.#returned = new ReturnedClocks(options.name);
    this.#ticks = new Ticks(options.loop, deps.clock);
    const slacks = deps.project.views
      .filter((view) => view.sources.includes(source.name))
      .map(({ slack }) => slack);
    this.#slack = slacks.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...slacks);
  }

  /** Reads the ends back: what an earlier run under this name has sent, and which of its clocks came back. */
  async open(): Promise<void> {
    await this.#raw.readBack();
    await this.#returned.open(this.#deps.kafka, this.#deps.project, this.#source);
  }

  async all(): Promise<ReplayResult> {
    const { clock } = this.#deps;
    const { signal } = this.#options;
    this.#startedAt = clock.now();
    let complete = true;
    let pending: OutgoingRecord[] = [];
    const flush = async (): Promise<void> => {
      if (pending.length === 0) return;
      await this.#raw.send(pending, signal);
      this.#sent += pending.length;
      pending = [];
      this.#report(null);
    };

    outer: for await (const batch of this.#options.items)
      for (const item of batch) {
        if (signal.aborted) {
          complete = false;
          break outer;
        }
        const partition = partitionOf(item.key, this.#source.partitions);
        const position = Math.max(this.#position, item.time);
        if (this.#raw.holds(partition, item.place)) {
          this.#skipped += 1;
          this.#position = position;
          continue;
        }
        if (this.#firstTime === null) await this.#start(item.time);
        if (position >= this.#limit() || this.#dueAt(position) > clock.now()) {
          await flush();
          if (!(await this.#waitUntil(position))) {
            complete = false;
            break outer;
          }
        }
        if (position - this.#clockSent >= this.#slack / 4) {
          await flush();
          await this.#sendClock(position, 'tick');
        }
        this.#position = position;
        pending.push(this.#record(item, partition));
        if (pending.length >= MAX_SEND) await flush();
      }
    await flush();
    if (this.#clocks > 0) {
      const end = Math.max(this.#clockSent, this.#position + this.#source.outOfOrderness);
      await this.#sendClock(end, 'end');
      if (complete) await this.#waitFor(() => this.#returned.finished >= end);
      if (complete) complete = await this.#waitFor(async () => end < (await this.#tickAfter(end)));
      this.#report(null);
    }
    return {
      sent: this.#sent,
      skipped: this.#skipped,
      clocks: this.#clocks,
      firstTime: this.#firstTime,
      lastTime: Number.isFinite(this.#position) ? this.#position : null,
      startedAt: this.#startedAt,
      finishedAt: clock.now(),
      complete,
    };
  }

  async close(): Promise<void> {
    await this.#returned.close();
    await this.#raw.close();
  }

  /** The first clock goes before every event, and must have come back from every partition. */
  async #start(time: number): Promise<void> {
    this.#firstTime = time;
    if (!this.#raw.begun) await this.#refuseLate(time);
    this.#clockSent = Math.max(time, this.#returned.finished);
    await this.#ticks.start(time);
    await this.#sendClock(this.#clockSent, 'first');
    if (!(await this.#waitFor(() => this.#returned.finished >= this.#clockSent))) return;
    this.#startedAt = this.#deps.clock.now();
  }

  async #refuseLate(time: number): Promise<void> {
    const { project, store } = this.#deps;
    const found = await store.read(
      Array.from({ length: this.#source.partitions }, (_, partition) => [
        progressKey(project.prefix, this.#source.name, partition),
      ]),
    );
    for (const [partition, [bytes = null]] of found.entries()) {
      if (bytes === null) continue;
      const watermark = watermarkOf(decodeProgress(bytes).runningMax, this.#source.outOfOrderness);
      if (watermark !== null && time < watermark)
        throw new ReplayRefused(
          `The replay's first event is of ${new Date(time).toISOString()}, but ${this.#topic} partition ${partition} has come to ${new Date(watermark).toISOString()}: it would be late. Start fresh with another --prefix, or replay from a later time.`,
        );
    }
  }

  #record(item: ReplayItem, partition: number): OutgoingRecord {
    const encoded =
      item.event === null ? item.bytes : this.#deps.codecs.encodeRaw(this.#source.name, item.event);
    const value =
      item.cut === true && encoded !== null ? encoded.subarray(0, encoded.byteLength - 1) : encoded;
    return {
      topic: this.#topic,
      partition,
      key: Buffer.from(item.key),
      value,
      headers: { [headers.replay]: this.#options.name, [headers.place]: String(item.place) },
    };
  }

  async #sendClock(time: number, kind: 'first' | 'tick' | 'end'): Promise<void> {
    this.#clockSent = time;
    this.#clockSentAt = this.#deps.clock.now();
    this.#clocks += 1;
    const { name, signal } = this.#options;
    await this.#raw.send(
      Array.from({ length: this.#source.partitions }, (_, partition) =>
        clockRecord(this.#topic, partition, { time, kind, replay: name }),
      ),
      signal,
    );
  }

  /** Wall time at which a position is due. */
  #dueAt(position: number): number {
    if (!Number.isFinite(this.#options.speed)) return 0;
    return this.#startedAt + (position - (this.#firstTime ?? position)) / this.#options.speed;
  }

  /** Waits until a record at `position` may go. Before and while it waits, clocks let what was sent be finished. */
  async #waitUntil(position: number): Promise<boolean> {
    const { clock } = this.#deps;
    return this.#waitFor(async () => {
      await this.#tickAfter(position);
      const allowed = position < this.#limit();
      if (allowed && this.#dueAt(position) <= clock.now()) return true;
      // With all finished nothing can fall behind: the clock goes straight to the next event.
      const idle = this.#returned.finished >= this.#clockSent;
      const next = Math.min(idle ? position : Math.min(position, this.#limit()), this.#ticks.next);
      if (next > this.#clockSent && clock.now() - this.#clockSentAt >= CLOCK_EVERY_MS)
        await this.#sendClock(next, 'tick');
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
      if (clock.now() - started > (this.#options.waitLimitMs ?? Number.POSITIVE_INFINITY))
        throw new ReplayStuck(
          `No clock has come back for ${Math.round((clock.now() - started) / 1_000)} s: finished ${dateOf(this.#returned.finished)}, sent ${dateOf(this.#clockSent)}. Are ingest, features and inference running?`,
        );
    }
    return true;
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

  #report(tick: number | null): void {
    const { finished } = this.#returned;
    this.#options.onProgress?.({ sent: this.#sent, eventTime: this.#position, finished, tick });
  }
}

const dateOf = (time: number): string => (Number.isFinite(time) ? new Date(time).toISOString() : 'nothing');

function sourceOf(project: Project, name: string): Source {
  const source = project.sources.find((candidate) => candidate.name === name);
  if (source === undefined)
    throw new ReplayRefused(
      `Project ${project.name} has no source '${name}'; it has ${project.sources.map((s) => s.name).join(', ')}.`,
    );
  return source;
}
