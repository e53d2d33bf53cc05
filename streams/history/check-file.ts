import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { IdMemory } from '../../processors/id-memory.ts';
import { partitionOf } from '../../processors/partition.ts';
import { arrivalOf, refuseRepeat } from '../../processors/repeats.ts';
import { createValidator } from '../../processors/validate.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Source } from '../../schemas/project.ts';
import type { Rejected } from '../../schemas/refusal.ts';
import { KEEP_EVERY } from '../../schemas/remembered.ts';

/** Decides which events of a file are taken, in their order, as ingest would if the file were replayed. */
export interface FileChecker {
  /** Why the event of a row is refused; null where it is taken. */
  check(event: EventRecord, row: number): Rejected | null;
  /** Ids that were forgotten before their time. */
  forgotten(): number;
}

const inFile = (row: number) => `from row ${row} of the file`;

export function createFileChecker(source: Source): FileChecker {
  const validate = createValidator(source);
  const { deduplicate } = source;
  if (deduplicate === null) return { check: validate, forgotten: () => 0 };
  const memories = Array.from({ length: source.partitions }, () => new IdMemory(deduplicate));
  let added = 0;
  let forgotten = 0;
  return {
    check(event, row) {
      const memory = memories[partitionOf(String(event[source.key]), source.partitions)] as IdMemory;
      const refusal = validate(event) ?? refuseRepeat(memory, event, null, inFile);
      if (refusal !== null) return refusal;
      memory.add(event.id, arrivalOf(event, null), row);
      added += 1;
      if (added % KEEP_EVERY === 0) for (const one of memories) forgotten += one.keep();
      return null;
    },
    forgotten: () => forgotten,
  };
}

/** A checker of what lies in a file from some event time on, epoch ms: it has seen what lies before, and knows what is repeated. */
export async function checkerFrom(file: HistoryFile, source: Source, from: number): Promise<FileChecker> {
  const checker = createFileChecker(source);
  if (source.deduplicate !== null)
    for await (const { events, rows } of file.read({ from: null, to: from }))
      for (const [i, event] of events.entries()) checker.check(event, rows[i] ?? -1);
  return checker;
}
