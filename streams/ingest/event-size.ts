import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { DecodedRecord } from '../../processors/segment.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { RecordLimits } from '../runtime/record-limits.ts';

/** An id is part of every answer's own id, several times: a longer one is refused, bytes. */
const MAX_ID_BYTES = 10_000;
/** What a record or a block has beside the event's own values, bytes. */
const FRAME_BYTES = 1_000;
/** At most so many bytes for a number, and for the length of a text. */
const NUMBER_BYTES = 10;

/**
 * Refuses an event whose validated record, or whose contribution to a view, would be larger than its topic takes. What comes out of
 * ingest is no larger than the values of the event with its key once more.
 */
export function eventSizeCheck(
  project: Project,
  source: Source,
  limits: Pick<RecordLimits, 'of'>,
): (record: DecodedRecord<KafkaRecord>) => DecodedRecord<KafkaRecord> {
  const { prefix } = project;
  const views = project.views.filter((view) => view.sources.includes(source.name));
  const most = Math.min(
    limits.of(topics.validated(prefix, source.name)),
    ...views.map((view) => limits.of(topics.view(prefix, view.id)) - view.inputs.length * (NUMBER_BYTES + 1)),
  );
  // Each value of the event is part of the raw record; where a mapping names one path twice it is there twice.
  const copies = source.fields.length + 3;
  const harmless = (most - FRAME_BYTES) / copies - NUMBER_BYTES;
  return function checkSize(record) {
    const { event, raw } = record;
    if (event === null || ((raw.value?.byteLength ?? 0) <= harmless && event.id.length * 3 <= MAX_ID_BYTES))
      return record;
    const refuse = (detail: string) => ({
      ...record,
      event: null,
      rejected: { stage: 'decode', code: 'too_large', detail } as const,
    });
    const idBytes = Buffer.byteLength(event.id);
    if (idBytes > MAX_ID_BYTES)
      return refuse(`The event's id has ${idBytes} bytes; at most ${MAX_ID_BYTES} are allowed.`);
    const bytes = sizeOf(event) + sizeOfValue(event[source.key] ?? null) + FRAME_BYTES;
    if (bytes <= most) return record;
    return refuse(
      `The event takes up to ${bytes} bytes once it is validated, and its topics take ${most} (max.message.bytes).`,
    );
  };
}

/** Upper bound of an event's values in Avro, bytes. */
function sizeOf(event: EventRecord): number {
  let bytes = 0;
  for (const name in event) bytes += sizeOfValue(event[name] ?? null);
  return bytes;
}

function sizeOfValue(value: EventRecord[string]): number {
  return NUMBER_BYTES + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
}

/** The topics that ingest writes to. */
export function writtenTopics({ prefix, sources, views }: Project, local: readonly Model[] = []): string[] {
  return [
    ...sources.flatMap(({ name }) => [topics.validated(prefix, name), topics.deadLetters(prefix, name)]),
    ...views.map(({ id }) => topics.view(prefix, id)),
    ...local.flatMap(({ name }) => [topics.predictions(prefix, name), topics.shadow(prefix, name)]),
  ];
}
