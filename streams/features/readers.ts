import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { STUCK_AFTER_MS } from '../runtime/backlog.ts';
import { decodeHold } from '../runtime/hold.ts';

interface Reader {
  readonly model: string;
  readonly partition: number;
  readonly key: string;
  bytes: Uint8Array | null;
  /** Least event time that it may still ask for, epoch ms; minus infinity where it never said. */
  least: number;
  /** When `least` last changed, by this process' clock. */
  changedAt: number;
}

/** The models that read a project's views, by what they last said in the online store. */
export class Readers {
  readonly #store: Pick<OnlineStore, 'read'>;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #readers: readonly Reader[];
  /** By name of the view. */
  readonly #ofView: ReadonlyMap<string, readonly Reader[]>;

  constructor(project: Project, store: Pick<OnlineStore, 'read'>, clock: Pick<Clock, 'now'>) {
    this.#store = store;
    this.#clock = clock;
    const partitionsOf = new Map(project.sources.map(({ name, partitions }) => [name, partitions]));
    const byModel = project.models.map((model) => ({
      model,
      readers: Array.from(
        { length: partitionsOf.get(model.request.source) ?? 0 },
        (_, partition): Reader => ({
          model: model.name,
          partition,
          key: keys.hold(project.prefix, model.name, partition),
          bytes: null,
          least: Number.NEGATIVE_INFINITY,
          changedAt: Number.NEGATIVE_INFINITY,
        }),
      ),
    }));
    this.#readers = byModel.flatMap(({ readers }) => readers);
    this.#ofView = new Map(
      project.views.map(({ name }) => [
        name,
        byModel
          .filter(({ model }) => model.reads.some(({ view }) => view === name))
          .flatMap(({ readers }) => readers),
      ]),
    );
  }

  /** Reads what they say, in one round trip. */
  async look(): Promise<void> {
    const found = await this.#store.read(this.#readers.map(({ key }) => [key]));
    const now = this.#clock.now();
    for (const [i, reader] of this.#readers.entries()) {
      const bytes = found[i]?.[0] ?? null;
      if (bytes === null || (reader.bytes !== null && Buffer.compare(bytes, reader.bytes) === 0)) continue;
      reader.bytes = bytes;
      reader.least = decodeHold(bytes);
      reader.changedAt = now;
    }
  }

  /** The head of a view that some reader may still ask for, at the least; infinity where no model reads it. */
  leastHead({ name, readDelay }: View): number {
    return (this.#ofView.get(name) ?? []).reduce(
      (least, reader) => Math.min(least, reader.least - readDelay),
      Number.POSITIVE_INFINITY,
    );
  }

  /** The least head of the readers of a view that move: their process reads on. Null where none does. */
  movingHead({ name, readDelay }: View): number | null {
    const now = this.#clock.now();
    const moving = (this.#ofView.get(name) ?? []).filter(
      ({ changedAt }) => now - changedAt <= STUCK_AFTER_MS,
    );
    if (moving.length === 0) return null;
    return moving.reduce(
      (least, reader) => Math.min(least, reader.least - readDelay),
      Number.POSITIVE_INFINITY,
    );
  }

  /** The reader that is furthest behind, for a person. */
  slowest({ name }: View): string {
    const [first, ...others] = this.#ofView.get(name) ?? [];
    if (first === undefined) return 'no model';
    const slowest = others.reduce((a, b) => (b.least < a.least ? b : a), first);
    return `model ${slowest.model} (partition ${slowest.partition})`;
  }
}
