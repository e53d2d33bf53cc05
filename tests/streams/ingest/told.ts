import { expect } from 'vitest';
import type { Section } from '../../../schemas/records/block.ts';
import { SECOND } from '../../../schemas/time.ts';
import { type Plane, tripStart } from '../plane.ts';
import { type IngestProcess, ingestProcess } from './process.ts';

/** The source's outOfOrderness: after so long a silence its partitions may fall idle, ms. */
export const IDLE_AFTER = 30 * SECOND;

/** What the last section about a raw partition says, by view partition. */
export async function lastSections(plane: Plane, partition: number): Promise<Section[]> {
  const { views } = plane.project;
  const all = await Promise.all(
    views.flatMap((view) =>
      Array.from({ length: view.partitions }, (_, viewPartition) => plane.sections(view, viewPartition)),
    ),
  );
  return all.map((sections) => {
    const last = sections.findLast((section) => section.partition === partition);
    if (last === undefined) throw new Error(`a view partition never heard of partition ${partition}`);
    return last;
  });
}

/** Whether all view partitions were last told that a raw partition is idle; an error where they were told different things. */
export async function toldIdle(plane: Plane, partition: number): Promise<boolean> {
  const said = new Set((await lastSections(plane, partition)).map(({ idle }) => idle));
  expect(said.size).toBe(1);
  return said.has(true);
}

/** A process that has worked one event of each of its partitions, and told of them. */
export async function afterAnEvent(
  plane: Plane,
  hook?: (moment: string) => Promise<void>,
): Promise<IngestProcess> {
  const process = await ingestProcess(plane, hook === undefined ? {} : { hook });
  for (const { partition } of process.context.owned.values())
    await plane.append(partition, tripStart(`e${partition}`, plane.clock.now()));
  await process.poll();
  await process.work();
  return process;
}
