import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/entity-key.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { DeadLetter } from '../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import type { View } from '../../schemas/view.ts';
import { modelReads } from '../../streams/inference/vector.ts';
import { type OracleEvent, oracleRead } from '../oracle/naive.ts';

/** An accepted event with its source and partition. */
export type Accepted = ValidatedEvent & { readonly source: string; readonly partition: number };

interface World {
  readonly project: Project;
  readonly model: Model;
}

/** What vectors must be at the as-of that their predictions name, from the accepted events alone. */
export class Truth {
  readonly #world: World;
  readonly #reads: ReturnType<typeof modelReads>['reads'];
  readonly #stored: Float64Array;
  readonly #assemble: ReturnType<typeof assembler>;
  readonly #accepted: readonly Accepted[];
  readonly #refused: readonly DeadLetter[];
  /** Events that a view took, by view and entity. */
  readonly #events = new Map<string, Map<string | null, OracleEvent[]>>();

  constructor(world: World, accepted: readonly Accepted[], refused: readonly DeadLetter[]) {
    this.#world = world;
    this.#accepted = accepted;
    this.#refused = refused;
    const { reads, width } = modelReads(world.project, world.model);
    this.#reads = reads;
    this.#stored = new Float64Array(width);
    this.#assemble = assembler(world.model, reads);
  }

  /** The first feature that differs from the truth, in a sentence; null where none does. */
  difference(prediction: Prediction, request: Accepted): string | null {
    const want = this.#of(prediction, request);
    for (const [i, value] of prediction.vector.entries()) {
      const truth = want[i] ?? Number.NaN;
      const close = Number.isNaN(truth)
        ? Number.isNaN(value)
        : Math.abs(value - truth) <= 1e-9 * Math.max(1, Math.abs(truth));
      if (!close)
        return `${prediction.requestId} ${this.#world.model.features[i]?.name}: ${value}, but the truth is ${truth}`;
    }
    return null;
  }

  #of(prediction: Prediction, request: Accepted): Float64Array {
    for (const { declared, view, offset } of this.#reads) {
      const entity = entityKey(request.event, declared.key, declared.defaults);
      const reading = prediction.reads.find(({ read }) => read === declared.name);
      const tooOld = declared.maxAge !== null && (reading?.ageMs ?? 0) > declared.maxAge.ms;
      if (entity === null || tooOld) {
        this.#stored.fill(Number.NaN, offset, offset + view.features.length);
        continue;
      }
      const edge = { asOf: reading?.asOf ?? Number.NaN, sketchAsOf: reading?.sketchAsOf ?? Number.NaN };
      const events = this.#eventsOf(view).get(entity) ?? [];
      this.#stored.set(oracleRead(view, events, { time: request.event.time, zone: null }, edge), offset);
    }
    return this.#assemble(this.#stored, request.event);
  }

  #eventsOf(view: View): ReadonlyMap<string | null, OracleEvent[]> {
    const known = this.#events.get(view.id);
    if (known !== undefined) return known;
    const refused = new Set(
      this.#refused.filter(({ writer }) => writer.startsWith(`${view.id}:`)).map(lineage),
    );
    const byEntity = new Map<string | null, OracleEvent[]>();
    for (const { event, source, partition, offset } of this.#accepted) {
      if (!view.sources.includes(source)) continue;
      if (refused.has(`${topics.raw(this.#world.project.prefix, source)}:${partition}:${offset}`)) continue;
      const entity = entityKey(event, view.entity);
      const events = byEntity.get(entity);
      if (events === undefined) byEntity.set(entity, [{ event, source }]);
      else events.push({ event, source });
    }
    this.#events.set(view.id, byEntity);
    return byEntity;
  }
}

function lineage({ sourceTopic, sourcePartition, sourceOffset }: DeadLetter): string {
  return `${sourceTopic}:${sourcePartition}:${sourceOffset}`;
}

/** `Truth.difference` for whoever asks once. */
export function difference(
  world: World,
  accepted: readonly Accepted[],
  refused: readonly DeadLetter[],
  prediction: Prediction,
  request: Accepted,
): string | null {
  return new Truth(world, accepted, refused).difference(prediction, request);
}
