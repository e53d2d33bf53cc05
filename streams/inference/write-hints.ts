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
  const disorder = source?.outOfOrderness ?? 0;
  const before = frontiers.least();
  const atEnd = await quietAtEnd(context, held);
  const reached = frontiers.least();
  await hints.write(
    new Map(
      held.map((queue) => [
        queue.partition,
        queue.least(disorder, atEnd.has(queue) ? reached : Number.NEGATIVE_INFINITY),
      ]),
    ),
  );
  return atEnd.size > 0 && reached - before > LEAP_MS;
}

/**
 * Quiet partitions of which nothing comes that is older than the frontiers: ingest sends a request before the mark that lets a frontier
 * pass it, so the frontiers are read first, and only then whether the partition is at its end. The clock on the wall says nothing: ingest
 * may be away, and come back with the requests of hours.
 */
async function quietAtEnd(
  { consumer, frontiers }: HintContext,
  held: readonly RequestQueue[],
): Promise<ReadonlySet<RequestQueue>> {
  const quiet = held.filter((queue) => queue.quiet);
  if (quiet.length === 0) return new Set();
  await frontiers.look();
  const ends = await consumer
    .atEnd(quiet.map(({ topic, partition }) => ({ topic, partition })))
    .catch((): Array<number | null> => []);
  return new Set(quiet.filter((_, i) => typeof ends[i] === 'number'));
}
