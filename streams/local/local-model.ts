import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import { cappedTime, type ValidatedEvent } from '../../schemas/event.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { type AnswerContext, scoreTurns } from '../inference/answer.ts';
import { HoldHints } from '../inference/hold-hints.ts';
import type { Models } from '../inference/predict.ts';
import type { Turn } from '../inference/requests.ts';
import { OPEN_HEADER, readResumes, SOURCE_NEXT_HEADER } from '../inference/resume.ts';
import type { PartitionSnapshot } from '../inference/snapshot.ts';
import { VectorReader } from '../inference/vector.ts';
import { clockRecord } from '../runtime/clock-record.ts';
import type { ViewPartition } from '../runtime/partitions.ts';
import type { LocalDeps } from './deps.ts';

/** A stretch of one source partition whose requests are to be answered. */
export interface Stretch {
  readonly partition: number;
  readonly accepted: readonly ValidatedEvent[];
  readonly clock: ClockMark | null;
  /** Last source offset covered. */
  readonly to: number;
  /** A replay was open in the partition before its clock. */
  readonly replayed: boolean;
}

/** What a model gives to a flush, stage by stage. */
export interface LocalOutputs {
  readonly before: readonly OutgoingRecord[];
  readonly predictions: readonly OutgoingRecord[];
  readonly clocks: readonly OutgoingRecord[];
}

interface Answered {
  /** All requests up to this source offset are answered. */
  through: number;
  readonly shadowed: ReadonlyMap<number, number>;
}

/** Answers the requests of one model where they are ingested, from replicas of its views. */
export class LocalModel {
  readonly model: Model;
  readonly #deps: LocalDeps;
  readonly #context: AnswerContext;
  readonly #hints: HoldHints;
  readonly #partitions = new Map<number, Answered>();

  constructor(
    deps: LocalDeps,
    model: Model,
    models: Models,
    snapshot: (of: ViewPartition) => PartitionSnapshot,
  ) {
    const { project, codecs, clock, guards, limits, mismatched, store, telemetry } = deps;
    const snapshots = {
      read: async (wanted: ReadonlyArray<{ readonly of: ViewPartition }>) =>
        wanted.map(({ of }) => snapshot(of)),
    };
    this.model = model;
    this.#deps = deps;
    this.#hints = new HoldHints(store, (partition) => keys.hold(project.prefix, model.name, partition));
    this.#context = {
      project,
      model,
      models,
      name: `inference ${model.name}`,
      codecs,
      clock,
      guards,
      limits,
      mismatched,
      telemetry,
      vectors: new VectorReader(project, model, snapshots),
      clockWent: true,
    };
  }

  /** Reads from the predictions how far partitions are answered. */
  async begin(partitions: readonly number[]): Promise<void> {
    const { project, kafka, codecs } = this.#deps;
    const resumeOf = await readResumes(kafka, codecs.predictions, {
      predictions: topics.predictions(project.prefix, this.model.name),
      shadow: topics.shadow(project.prefix, this.model.name),
    });
    this.#context.clockWent = true;
    for (const partition of partitions) {
      const { through, shadowed } = resumeOf(partition);
      this.#partitions.set(partition, { through, shadowed });
    }
  }

  /** The last source offset up to which all requests of a partition are answered. */
  through(partition: number): number {
    return this.#partitions.get(partition)?.through ?? -1;
  }

  async answer(stretches: readonly Stretch[]): Promise<LocalOutputs> {
    const topic = topics.predictions(this.#deps.project.prefix, this.model.name);
    const turns = stretches.flatMap((stretch) => this.#turnsOf(stretch));
    const { encoded, before } = await scoreTurns(this.#context, turns);
    const predictions: OutgoingRecord[] = [];
    const clocks: OutgoingRecord[] = [];
    const last = new Map<number, () => void>();
    for (const turn of turns) {
      const { clock, queue, request } = turn;
      const { partition } = queue;
      const list = clock === null ? predictions : clocks;
      const place = list.length;
      if (clock !== null) list.push(clockRecord(topic, partition, clock));
      else if (request !== null) {
        const { value = null, headers } = encoded.get(turn) ?? {};
        const key = Buffer.from(request.event.id);
        list.push({ topic, partition, key, value, ...(headers === undefined ? {} : { headers }) });
      }
      last.set(partition, () => this.#sign(list, place, stretches));
    }
    for (const sign of last.values()) sign();
    return { before, predictions, clocks };
  }

  /** What was answered is acknowledged. */
  settle(stretches: readonly Stretch[]): void {
    for (const { partition, to } of stretches) {
      const known = this.#partitions.get(partition);
      if (known !== undefined) known.through = Math.max(known.through, to);
    }
  }

  /** Tells features which heads may still be asked for, by partition. */
  hint(least: ReadonlyMap<number, number>): Promise<void> {
    return this.#hints.write(least);
  }

  /** The last record of a partition says how far all of it is answered. */
  #sign(list: OutgoingRecord[], place: number, stretches: readonly Stretch[]): void {
    const record = list[place];
    const stretch = stretches.findLast(({ partition }) => partition === record?.partition);
    if (record === undefined || stretch === undefined) return;
    const open = stretch.clock === null ? stretch.replayed : stretch.clock.kind !== 'end';
    const headers = {
      ...record.headers,
      [SOURCE_NEXT_HEADER]: String(stretch.to + 1),
      ...(open ? { [OPEN_HEADER]: '1' } : {}),
    };
    list[place] = { ...record, headers };
  }

  #turnsOf({ partition, accepted, clock, replayed, to }: Stretch): Turn[] {
    const known = this.#partitions.get(partition);
    if (known === undefined) throw new Error(`partition ${partition} of ${this.model.name} was not begun`);
    const { request, name } = this.model;
    const queue = { partition, shadowed: known.shadowed };
    const base = { clock: null, replayed, backlog: false, blockedAt: 0, promised: true, queue };
    const turns: Turn[] = [];
    for (const one of accepted) {
      if (one.offset <= known.through || one.event.type !== request.eventType) continue;
      const time = cappedTime(one.event.time, one.arrivedAt);
      const targets = this.#context.vectors.targets(one.event, time);
      turns.push({ ...base, offset: one.offset, time, request: { ...one, targets } });
    }
    if (clock !== null) turns.push({ ...base, offset: to, time: clock.time, clock, request: null });
    if (turns.length > 0) this.#deps.telemetry.step(`inference ${name}`, 'local', 0, turns.length);
    return turns;
  }
}
