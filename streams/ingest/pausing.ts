import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { Refusal } from '../../processors/segment.ts';
import type { IngestContext } from './context.ts';
import { pauseSource, readPauses, resumeSource } from './pause.ts';
import type { RawPartition } from './raw-partition.ts';
import { rejectsIn, type Worked, workCapped } from './reject-cap.ts';
import { watchTopics } from './watch-topics.ts';

/** Records worked, none of a source beyond those that may be refused; `over`: the first of a source that is one too many. */
export interface WithinCaps {
  readonly work: ReadonlyMap<RawPartition, Worked>;
  readonly over: ReadonlyMap<string, Refusal<KafkaRecord>>;
}

/** Works so many queued records of each partition, as far as the caps of their sources allow. What is worked counts. */
export function workWithin(
  { caps, clock }: IngestContext,
  chosen: ReadonlyMap<RawPartition, number>,
): WithinCaps {
  const work = new Map<RawPartition, Worked>();
  const over = new Map<string, Refusal<KafkaRecord>>();
  const now = clock.now();
  const left = new Map<string, number>();
  for (const [one, count] of chosen) {
    const { source } = one;
    const may = left.get(source.name) ?? caps.left(source, now);
    const capped = workCapped(one, count, Math.max(0, may));
    if (capped.over !== null && !over.has(source.name)) over.set(source.name, capped.over);
    if (capped.worked === null) continue;
    work.set(one, capped.worked);
    left.set(source.name, may - rejectsIn(capped.worked));
  }
  return { work, over };
}

/** Stops to read sources of which one record too many would have been refused. It stays where it is, and is the first when they go on. */
export async function pauseSources(
  context: IngestContext,
  over: ReadonlyMap<string, Refusal<KafkaRecord>>,
): Promise<void> {
  const { clock, project } = context;
  for (const [name, { rejected }] of over) {
    const { atMost, within } = project.sources.find((source) => source.name === name)?.rejects ?? {
      atMost: 0,
      within: 0,
    };
    await pauseSource(context, name, {
      since: clock.now(),
      rejects: atMost,
      within,
      code: rejected.code,
      detail: rejected.detail,
      declared: project.hash,
    });
  }
  await lookAtPauses(context);
  await watchTopics(context);
}

/** Takes up which sources are paused. One that is declared otherwise by now goes on by itself. */
export async function lookAtPauses(context: IngestContext): Promise<void> {
  const { caps, owned, paused, project } = context;
  const names = [...new Set([...owned.values()].map(({ source }) => source.name))];
  const found = new Map(await readPauses(context, names));
  for (const [name, { declared }] of found) {
    if (declared === project.hash) continue;
    await resumeSource(context, name, 'it is declared otherwise now.');
    found.delete(name);
  }
  for (const name of paused.keys()) if (!found.has(name)) caps.clear(name);
  context.paused = found;
}
