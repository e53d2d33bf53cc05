import type { OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import { keys } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import type { Section } from '../../schemas/records/block.ts';
import type { View } from '../../schemas/view.ts';
import type { Models } from '../inference/predict.ts';
import type { PartitionSnapshot } from '../inference/snapshot.ts';
import type { ViewPartition } from '../runtime/partitions.ts';
import { catchUp } from './catch-up.ts';
import type { LocalDeps } from './deps.ts';
import { loadReplica, mustHaveHistory } from './load.ts';
import { LocalModel, type LocalOutputs, type Stretch } from './local-model.ts';
import type { Replica } from './replica.ts';

/** A source partition as it is begun: the next raw offset that is worked of it. */
export interface Begun {
  readonly source: { readonly name: string };
  readonly partition: number;
  readonly progress: { readonly next: number };
}

/** What a flush of ingest gives for one source partition. */
export interface WorkedStretch extends Stretch {
  readonly source: string;
  /** What goes to the log of each view beside it, by id of the view. */
  readonly sections: ReadonlyMap<string, readonly Section[]>;
  /** Watermark after it, epoch ms; null before the first event. */
  readonly watermark: number | null;
}

const HINT_EVERY_MS = 50;

/**
 * Answers requests in the pass that ingests them (decision 35). A replica of each local view's partition lies in memory; a flush is
 * applied to it first, and its requests are read then: at the head that their time asks for, which no later event of the flush reaches.
 * What was applied and not committed is forgotten with the replica.
 */
export class Local {
  readonly #deps: LocalDeps;
  readonly #views: readonly View[];
  readonly #models: readonly LocalModel[];
  readonly #replicas = new Map<string, Replica>();
  readonly #least = new Map<LocalModel, Map<number, number>>();
  #hintedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: LocalDeps, models: ReadonlyMap<Model, Models>) {
    const { project } = deps;
    const read = new Set([...models.keys()].flatMap(({ reads }) => reads.map(({ view }) => view)));
    this.#deps = deps;
    this.#views = project.views.filter(({ name }) => read.has(name));
    this.#models = [...models].map(
      ([model, versions]) => new LocalModel(deps, model, versions, (of) => this.#snapshot(of)),
    );
  }

  /**
   * Loads the replicas of source partitions and answers what was ingested before and not answered. `send` resolves once its stages are
   * acknowledged.
   */
  async begin(
    partitions: readonly Begun[],
    send: (stages: ReadonlyArray<readonly OutgoingRecord[]>) => Promise<unknown>,
  ): Promise<void> {
    for (const view of this.#views)
      for (const { source, partition } of partitions)
        if (view.sources[0] === source.name) {
          const replica = await loadReplica(this.#deps, view, partition);
          this.#replicas.set(`${view.id}:${partition}`, replica);
        }
    for (const model of this.#models) {
      const own = partitions.filter(({ source }) => source.name === model.model.request.source);
      if (own.length === 0) continue;
      await model.begin(own.map(({ partition }) => partition));
      for (const { partition, progress } of own)
        await catchUp(this.#deps, model, { partition, next: progress.next }, async (outputs) => {
          await send([outputs.before, outputs.predictions, outputs.clocks]);
        });
    }
    for (const replica of this.#replicas.values()) replica.compact();
  }

  /** Takes up what was worked, and answers its requests. */
  async answer(worked: readonly WorkedStretch[]): Promise<LocalOutputs> {
    for (const view of this.#views)
      for (const { partition, sections, source } of worked) {
        const own = view.sources[0] === source ? sections.get(view.id) : undefined;
        if (own !== undefined) this.#replica(view.id, partition).apply(own);
      }
    const outputs: LocalOutputs[] = [];
    for (const model of this.#models) {
      const own = worked.filter(({ source }) => source === model.model.request.source);
      if (own.length > 0) outputs.push(await model.answer(own));
    }
    return {
      before: outputs.flatMap(({ before }) => before),
      predictions: outputs.flatMap(({ predictions }) => predictions),
      clocks: outputs.flatMap(({ clocks }) => clocks),
    };
  }

  /** What was worked of these partitions is committed. */
  async settle(worked: readonly WorkedStretch[]): Promise<void> {
    for (const model of this.#models) {
      const own = worked.filter(({ source }) => source === model.model.request.source);
      model.settle(own);
      const least = this.#least.get(model) ?? new Map<number, number>();
      this.#least.set(model, least);
      for (const { partition, watermark } of own) if (watermark !== null) least.set(partition, watermark);
    }
    for (const { partition } of worked)
      for (const view of this.#views) this.#replicas.get(`${view.id}:${partition}`)?.compact();
    const now = this.#deps.clock.now();
    if (now - this.#hintedAt < HINT_EVERY_MS) return;
    this.#hintedAt = now;
    for (const [model, least] of this.#least) await model.hint(least);
  }

  /**
   * A backfill replaced the state of a view by one with another history: then what this process has of it is not all. Throws StateMoves.
   */
  async compare(): Promise<void> {
    const replicas = [...this.#replicas.values()];
    const found = await this.#deps.store.read(replicas.map(({ key }) => [keys.meta(key)]));
    for (const [i, { key, meta }] of replicas.entries()) mustHaveHistory(key, meta, found[i]?.[0] ?? null);
  }

  #replica(view: string, partition: number): Replica {
    const replica = this.#replicas.get(`${view}:${partition}`);
    if (replica === undefined) throw new Error(`partition ${partition} of view ${view} is not loaded`);
    return replica;
  }

  #snapshot({ view, partition }: ViewPartition): PartitionSnapshot {
    return this.#replica(view.id, partition).snapshot();
  }
}
