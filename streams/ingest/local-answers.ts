import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import { watermarkOf } from '../../processors/lateness.ts';
import type { Segment } from '../../processors/segment.ts';
import type { Section } from '../../schemas/records/block.ts';
import type { WorkedStretch } from '../local/local.ts';
import type { LocalOutputs } from '../local/local-model.ts';
import type { Sections } from './announcer.ts';
import type { IngestContext } from './context.ts';
import type { RawPartition } from './raw-partition.ts';

/** Answers that go out with a flush, and what is to be done once it is committed. */
export interface LocalAnswers extends LocalOutputs {
  settle(set: readonly RawPartition[]): Promise<void>;
}

const NONE: LocalAnswers = { before: [], predictions: [], clocks: [], settle: async () => {} };

/** Answers the requests of a flush whose models read local views alone (streams/local). */
export async function answerLocally(
  { local }: Pick<IngestContext, 'local'>,
  sections: Sections,
  segments: ReadonlyMap<RawPartition, Segment<KafkaRecord>>,
): Promise<LocalAnswers> {
  if (local === null) return NONE;
  const told = new Map<RawPartition, Map<string, Section[]>>();
  for (const [{ view }, list] of sections)
    if (view.local)
      for (const { of, section } of list) {
        const views = told.get(of) ?? new Map<string, Section[]>();
        told.set(of, views);
        const known = views.get(view.id);
        if (known === undefined) views.set(view.id, [section]);
        else known.push(section);
      }
  const worked = new Map<RawPartition, WorkedStretch>();
  for (const [one, { accepted, clock, progress, to }] of segments)
    worked.set(one, {
      source: one.source.name,
      partition: one.partition,
      accepted,
      clock,
      to,
      replayed: one.progress.clockOpen,
      sections: told.get(one) ?? new Map(),
      watermark: watermarkOf(progress.runningMax, one.source.outOfOrderness),
    });
  return {
    ...(await local.answer([...worked.values()])),
    settle: (set) => local.settle(set.flatMap((one) => worked.get(one) ?? [])),
  };
}
