import type { InferenceContext } from './context.ts';
import type { RequestQueue } from './requests.ts';

type HintContext = Pick<InferenceContext, 'consumer' | 'frontiers' | 'hints' | 'model' | 'project'>;

/** Event time by which frontiers come further from one look to the next where ingest works off backlog, ms. */
const LEAP_MS = 10_000;

/**
 * Tells features what each partition may still ask for. Answers whether the frontiers came much further since the last time beside quiet
 * partitions: then features, which goes no more than half a slack ahead of its readers, waits for the next word.
 */
export async function writeHints(context: HintContext, held: readonly RequestQueue[]): Promise<boolean> {
  const { frontiers, hints, model, project } = context;
  const source = project.sources.find(({ name }) => name === model.request.source);
  const before = frontiers.least();
  const comesFrom = await ofQuiet(context, held);
  await hints.write(
    new Map(
      held.map((queue) => [
        queue.partition,
        queue.least(source?.outOfOrderness ?? 0, comesFrom.get(queue.partition)),
      ]),
    ),
  );
  return comesFrom.size > 0 && frontiers.least() - before > LEAP_MS;
}

/**
 * How old what comes of quiet partitions can be. Ingest sends a request before the mark that lets a frontier pass it, so a partition that
 * is at its end after the frontiers were read holds nothing older than these. The clock on the wall says nothing: ingest may be away, and
 * come back with the requests of hours.
 */
async function ofQuiet(
  { consumer, frontiers }: HintContext,
  held: readonly RequestQueue[],
): Promise<ReadonlyMap<number, number>> {
  const quiet = held.filter((queue) => queue.quiet);
  if (quiet.length === 0) return new Map();
  await frontiers.look();
  const least = frontiers.least();
  const ends = await consumer
    .atEnd(quiet.map(({ topic, partition }) => ({ topic, partition })))
    .catch((): Array<number | null> => []);
  return new Map(
    quiet.filter((_, i) => typeof ends[i] === 'number').map(({ partition }) => [partition, least]),
  );
}
