import type { Position, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { type ArchivedPartition, type Batch, emptyBatch } from './batch.ts';
import { readLastClocks } from './clocks.ts';
import type { ArchiveContext } from './context.ts';
import { type Mark, readMarks, resumeAt } from './marks.ts';

/**
 * Takes over an assignment: every partition goes on from where its table stands. What waited for its insert belonged to the
 * assignment before; it is forgotten here and read again by whoever owns its partition now.
 */
export async function assign(
  context: ArchiveContext,
  assigned: readonly TopicPartition[],
): Promise<Position[]> {
  const { prefix, tables, telemetry, warehouse } = context;
  // Clocks are read before marks: the rows that a clock vouches for must be in the marks, and another process may still write both.
  const clocks = await readLastClocks(warehouse, prefix);
  const batches = new Map<string, Batch>();
  const marks = new Map<string, ReadonlyMap<number, Mark>>();
  for (const topic of new Set(assigned.map((one) => one.topic))) {
    const table = tables.get(topic);
    if (table === undefined)
      throw new Error(`archive was assigned ${topic}, which is no topic of project ${prefix}`);
    batches.set(topic, emptyBatch(table));
    marks.set(topic, await readMarks(warehouse, table));
  }
  const owned = new Map<string, ArchivedPartition>();
  const positions: Position[] = [];
  for (const { topic, partition } of assigned) {
    const batch = batches.get(topic);
    if (batch === undefined) continue;
    const mark = marks.get(topic)?.get(partition) ?? { archived: -1, sources: new Map() };
    const last = clocks.get(`${topic}:${partition}`);
    const next = resumeAt(mark, last);
    const clock = last?.clock ?? Number.NEGATIVE_INFINITY;
    const one: ArchivedPartition = { topic, partition, batch, mark, next, clock };
    batch.partitions.push(one);
    owned.set(`${topic}:${partition}`, one);
    positions.push(next === 0 ? 'earliest' : next);
    telemetry.note('archive', 'assigned', { topic, partition, next });
  }
  context.owned = owned;
  context.batches = [...batches.values()];
  return positions;
}
