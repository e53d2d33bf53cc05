import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/entity-key.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { DeadLetter } from '../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { modelReads } from '../../streams/inference/vector.ts';
import { oracleRead } from '../oracle/naive.ts';

/** An accepted event with its source and partition. */
export type Accepted = ValidatedEvent & { readonly source: string; readonly partition: number };

/** What a request's vector must be at the as-of that its prediction names, from the accepted events alone. */
function truthOf(
  world: { readonly project: Project; readonly model: Model },
  accepted: readonly Accepted[],
  refused: readonly DeadLetter[],
  prediction: Prediction,
  request: Accepted,
): number[] {
  const { reads, width } = modelReads(world.project, world.model);
  const stored = new Float64Array(width);
  for (const { declared, view, offset } of reads) {
    const entity = entityKey(request.event, declared.key, declared.defaults);
    const reading = prediction.reads.find(({ read }) => read === declared.name);
    const tooOld = declared.maxAge !== null && (reading?.ageMs ?? 0) > declared.maxAge.ms;
    if (entity === null || tooOld) {
      stored.fill(Number.NaN, offset, offset + view.features.length);
      continue;
    }
    const out = new Set(refused.filter(({ writer }) => writer.startsWith(`${view.id}:`)).map(lineage));
    const events = accepted
      .filter(
        ({ event, ...at }) =>
          view.sources.includes(at.source) &&
          entityKey(event, view.entity) === entity &&
          !out.has(`${topics.raw(world.project.prefix, at.source)}:${at.partition}:${at.offset}`),
      )
      .map(({ event, source }) => ({ event, source }));
    const edge = { asOf: reading?.asOf ?? Number.NaN, sketchAsOf: reading?.sketchAsOf ?? Number.NaN };
    stored.set(oracleRead(view, events, { time: request.event.time, zone: null }, edge), offset);
  }
  const assemble = assembler(
    world.model,
    reads.map(({ declared, view, offset }) => ({ name: declared.name, view, offset })),
  );
  return [...assemble(stored, request.event)];
}

function lineage({ sourceTopic, sourcePartition, sourceOffset }: DeadLetter): string {
  return `${sourceTopic}:${sourcePartition}:${sourceOffset}`;
}

/** The first feature that differs from the truth, in a sentence; null where none does. */
export function difference(...args: Parameters<typeof truthOf>): string | null {
  const [world, , , prediction] = args;
  const want = truthOf(...args);
  for (const [i, value] of prediction.vector.entries()) {
    const truth = want[i] ?? Number.NaN;
    const close = Number.isNaN(truth)
      ? Number.isNaN(value)
      : Math.abs(value - truth) <= 1e-9 * Math.max(1, Math.abs(truth));
    if (!close)
      return `${prediction.requestId} ${world.model.features[i]?.name}: ${value}, but the truth is ${truth}`;
  }
  return null;
}
