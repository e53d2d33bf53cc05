import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import type { ReplayItem } from '../../../streams/replay/items.ts';
import type { Accepted } from '../../simulation/truth.ts';
import { ALL, World } from '../../simulation/world.ts';
import { PARTITIONS, type ProjectOptions, writeProject } from './project.ts';
import type { Outcome } from './verdict.ts';

/** Everything of an answer that comes from its features, to the bit. */
export const bitsOf = ({ vector, reads }: Prediction): string =>
  `${Buffer.from(new Float64Array(vector).buffer).toString('base64')} ${reads.map(({ asOf }) => asOf).join(' ')}`;

/** Answers of an undisturbed run on the twins, which replays the items: their bits by request. */
export async function undisturbed(
  items: readonly ReplayItem[],
  options: ProjectOptions,
): Promise<ReadonlyMap<string, string>> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-undisturbed-'));
  try {
    writeProject(directory, { ...options, servers: false });
    const world = await World.create({ directory, partitions: PARTITIONS, now: Date.now() });
    const process = world.start(ALL);
    let failure: Error | null = null;
    let complete = false;
    world.replay(items).then(
      () => {
        complete = true;
      },
      (error: Error) => {
        failure = error;
      },
    );
    await world.clock.runUntil(() => complete || failure !== null, 3_600_000);
    if (!complete) throw new Error('the undisturbed run did not come to its end', { cause: failure });
    const { first } = await world.predictions();
    process.kill();
    return new Map(first.map((one) => [one.requestId, bitsOf(one)]));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The accepted events of a live run that no view refused, as a replay sends them: merged by the running maxima of their partitions. */
function itemsOf({ accepted, letters }: Outcome): ReplayItem[] {
  const refused = new Set(letters.map((l) => `${l.sourcePartition}:${l.sourceOffset}`));
  const maxima = new Map<number, number>();
  const taken = accepted.filter(({ partition, offset }) => !refused.has(`${partition}:${offset}`));
  const placed = taken.map((one: Accepted) => {
    const time = Math.max(one.event.time, maxima.get(one.partition) ?? Number.NEGATIVE_INFINITY);
    maxima.set(one.partition, time);
    return { time, event: one.event };
  });
  return placed
    .sort((a, b) => a.time - b.time)
    .map(({ time, event }, place) => ({ place, time, key: String(event.card), event, bytes: null }));
}

/** Where a run whose gate has no limit differs from an undisturbed run of the same log, in a sentence. */
export async function differences(outcome: Outcome, options: ProjectOptions): Promise<string[]> {
  return unequal(outcome.predictions, await undisturbed(itemsOf(outcome), options));
}

export function unequal(predictions: readonly Prediction[], wanted: ReadonlyMap<string, string>): string[] {
  const answered = new Map(predictions.map((one) => [one.requestId, bitsOf(one)]));
  const other = [...wanted].filter(([id, bits]) => answered.get(id) !== bits).map(([id]) => id);
  if (other.length === 0) return [];
  return [
    `${other.length} of ${wanted.size} answers are not those of an undisturbed run: ${other.slice(0, 3).join(', ')}`,
  ];
}
