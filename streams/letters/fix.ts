import type { CompiledFix } from '../../config/fix.ts';
import { partitionOf } from '../../processors/partition.ts';
import { DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord, Scalar } from '../../schemas/event.ts';
import { createEventDecoder } from '../../schemas/event-decoder.ts';
import { headers } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { envelopeOf } from '../runtime/envelope.ts';
import type { Fix, Letter } from './letter.ts';

/** What replays of letters are called in the headers of records that a fix wrote: their values hold all that there is of the event. */
const REPLAY = 'dead-letters';

/** A fix of a source, ready for its letters. */
export function createFix(source: Source, prefix: string, { name, mapping, where, set }: CompiledFix): Fix {
  const decoder =
    mapping === null ? null : createEventDecoder({ ...source, format: { kind: 'json', mapping } }, prefix);

  function read(letter: Letter): EventRecord | null {
    if (letter.record === null) return null;
    if (decoder === null) return letter.decoded?.event ?? null;
    const decoded = decoder.decode(letter.record.value, envelopeOf(letter.record));
    // What the fix's mapping does not read may be what the source's own does.
    return decoded instanceof DecodeFailure ? (letter.decoded?.event ?? null) : decoded;
  }

  return {
    name,
    apply(letter) {
      const event = read(letter);
      if (event === null || letter.record === null || (where !== null && where(event) !== true))
        return letter;
      const changes = set.map(({ field, evaluate }): [string, Scalar] => [field, evaluate(event)]);
      const mended: EventRecord = { ...event, ...Object.fromEntries(changes) };
      const moved = mended[source.key] !== event[source.key];
      const key = Buffer.from(String(mended[source.key] ?? ''));
      return {
        ...letter,
        fix: name,
        partition: moved ? partitionOf(key, source.partitions) : letter.partition,
        decoded: { event: mended, rejected: null, clock: null },
        record: {
          ...letter.record,
          key: moved ? key : letter.record.key,
          headers: { ...letter.record.headers, [headers.replay]: Buffer.from(REPLAY) },
        },
        mended,
      };
    },
  };
}
