import type { KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { ClockMark } from '../../processors/lateness.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import { readClock } from '../runtime/clock-record.ts';
import type { Codec } from '../runtime/codecs.ts';
import { boundsOf, onlyOf, readTopic } from '../runtime/topic.ts';
import type { LocalDeps } from './deps.ts';
import type { LocalModel, LocalOutputs, Stretch } from './local-model.ts';
import { positionAfter, sourceOffsetOf } from './position.ts';

/** Requests answered in one go. */
const MOST = 500;

/**
 * Answers the requests of a source partition that were ingested (they lie before `next`) and not answered: another definition or
 * inference by itself answered before, or the last flush had no request to say how far it came. They come from the validated topic.
 */
export async function catchUp(
  deps: LocalDeps,
  model: LocalModel,
  { partition, next }: { readonly partition: number; readonly next: number },
  send: (outputs: LocalOutputs) => Promise<void>,
): Promise<void> {
  const { project, kafka, codecs } = deps;
  const { source } = model.model.request;
  const answered = model.through(partition);
  if (answered >= next - 1) return;
  const topic = topics.validated(project.prefix, source);
  const codec = codecs.validated(source);
  const bounds = await boundsOf(kafka, topic);
  const { start = 0, end = 0 } = bounds[partition] ?? {};
  if (end <= start) return;
  const from = await positionAfter(kafka, codec, { topic, partition, start, end }, answered);
  const missed: KafkaRecord[] = [];
  let last = answered;
  await readTopic(
    kafka,
    topic,
    onlyOf(bounds, partition),
    (record) => {
      const offset = sourceOffsetOf(record, codec);
      if (offset <= last || offset >= next) return;
      last = offset;
      missed.push(record);
    },
    () => from,
  );
  for (const stretch of stretchesOf(missed, partition, codec)) {
    await send(await model.answer([stretch]));
    model.settle([stretch]);
  }
}

/** Records of a validated partition as stretches: each of at most so many events, and a clock only at its end. */
function* stretchesOf(
  records: readonly KafkaRecord[],
  partition: number,
  codec: Codec<ValidatedEvent>,
): Generator<Stretch> {
  let accepted: ValidatedEvent[] = [];
  let replayed = false;
  let to = -1;
  const stretch = (clock: ClockMark | null): Stretch => ({ partition, accepted, clock, to, replayed });
  for (const record of records) {
    const clock = readClock(record);
    const event = record.value === null ? null : codec.read(record.value);
    to = sourceOffsetOf(record, codec);
    if (event !== null) accepted.push(event);
    if (clock === null && accepted.length < MOST) continue;
    yield stretch(clock);
    accepted = [];
    if (clock !== null && clock.replay !== null) replayed = clock.kind !== 'end';
  }
  if (accepted.length > 0) yield stretch(null);
}
