import type { Kafka, KafkaRecord, TopicPartition } from '../../infrastructure/kafka/port.ts';
import { IdMemory, type MemoryStart } from '../../processors/id-memory.ts';
import type { Progress } from '../../processors/lateness.ts';
import { arrivalOf } from '../../processors/repeats.ts';
import type { ValidatedEvent } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Deduplication, Project, Source } from '../../schemas/project.ts';
import { KEEP_EVERY } from '../../schemas/remembered.ts';
import { MINUTE } from '../../schemas/time.ts';
import type { Codec, Codecs } from '../runtime/codecs.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { type Bounds, boundsOf, readTopic } from '../runtime/topic.ts';
import type { RawPartition } from './raw-partition.ts';

export interface RecallDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
}

/** How many records are looked at to see how far back a place in the validated topic lies: more than a flush of a late owner holds. */
const LOOKED_AT = 2_500;
/** How far before the end the first look is; each further one goes twice as far. */
const FIRST_STEP = 5_000;
/** Where the oldest remembered offset is not known: how much arrivals may lie out of order, beside outOfOrderness, ms. */
const ARRIVAL_DISORDER_MS = MINUTE;

/**
 * The ids that a raw partition remembers at `progress`, read back from its validated topic, which is their only home: so a restart, another
 * owner and a replay decide the same. Null where the source does not deduplicate.
 */
export async function recallIds(
  { project, kafka, codecs }: RecallDeps,
  source: Source,
  { partition }: Pick<TopicPartition, 'partition'>,
  progress: Progress,
): Promise<IdMemory | null> {
  const rule = source.deduplicate;
  if (rule === null) return null;
  const topic = topics.validated(project.prefix, source.name);
  const log: ValidatedLog = { kafka, topic, partition, codec: codecs.validated(source.name) };
  const bounds = (await boundsOf(kafka, topic))[partition] ?? { start: 0, end: 0 };
  const { remembered, next } = progress;
  const known = remembered !== null && sameRule(remembered, rule) ? remembered : null;
  const begins =
    known !== null
      ? await findBack(log, bounds, (events) => events.every(({ offset }) => offset < known.from))
      : await findBack(log, bounds, olderThan(source, rule, next));
  const memory = new IdMemory(rule);
  if (known !== null) memory.begin(known.at);
  let last = (known?.from ?? 0) - 1;
  let added = 0;
  await readEvents(log, begins, bounds.end, ({ event, offset, arrivedAt }) => {
    // What stands twice was sent again after a crash; what lies at or behind the progress will be worked again.
    if (offset <= last || offset >= next) return;
    last = offset;
    memory.add(event.id, arrivalOf(event, arrivedAt), offset);
    added += 1;
    if (added % KEEP_EVERY === 0) memory.keep();
  });
  memory.keep();
  return memory;
}

/** Gives a partition that was taken over the ids that it remembers. */
export async function recall(
  deps: RecallDeps & { readonly telemetry: Pick<Telemetry, 'note'> },
  one: RawPartition,
): Promise<void> {
  const { source, topic, partition, progress } = one;
  one.memory = await recallIds(deps, source, one, progress);
  if (one.memory !== null)
    deps.telemetry.note('ingest', 'ids read back', { topic, partition, ids: one.memory.size });
}

const sameRule = (start: MemoryStart, { within, atMost }: Deduplication) =>
  start.within === within && start.atMost === atMost;

/** Whether events lie so far back that none of them counts any more, as the newest ones before `next` tell it. */
function olderThan(source: Source, { within }: Deduplication, next: number) {
  let newest = Number.NEGATIVE_INFINITY;
  return (events: readonly ValidatedEvent[]): boolean => {
    const worked = events.filter(({ offset }) => offset < next);
    const arrivals = worked.map(({ event, arrivedAt }) => arrivalOf(event, arrivedAt));
    newest = Math.max(newest, ...arrivals);
    const horizon = newest - within - source.outOfOrderness - ARRIVAL_DISORDER_MS;
    return worked.length === events.length && Math.max(...arrivals) < horizon;
  };
}

interface ValidatedLog {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly partition: number;
  readonly codec: Codec<ValidatedEvent>;
}

/**
 * A place in a log from which on all is found that counts: going back from the end, the first where a whole stretch lies too far back.
 * A whole stretch, since a late owner may have sent old records again behind newer ones.
 */
async function findBack(
  log: ValidatedLog,
  { start, end }: { readonly start: number; readonly end: number },
  tooOld: (events: readonly ValidatedEvent[]) => boolean,
): Promise<number> {
  // The end itself says how new the newest are.
  for (let step = 0; ; step = Math.max(FIRST_STEP, step * 2)) {
    const from = end - LOOKED_AT - step;
    if (from <= start && step > 0) return start;
    const events: ValidatedEvent[] = [];
    const begin = Math.max(start, from);
    await readEvents(log, begin, from + LOOKED_AT, (one) => events.push(one));
    if (events.length > 0 && tooOld(events)) return begin;
  }
}

/** The events of a partition of a validated topic from one of its offsets up to another; clocks are passed over, and so is what somebody else put there. */
async function readEvents(
  { kafka, topic, partition, codec }: ValidatedLog,
  from: number,
  to: number,
  see: (event: ValidatedEvent) => void,
): Promise<void> {
  const only: Bounds = Array.from({ length: partition + 1 }, (_, p) =>
    p === partition ? { start: from, end: to } : { start: 0, end: 0 },
  );
  await readTopic(kafka, topic, only, ({ value }: KafkaRecord) => {
    const event = value === null ? null : codec.read(value);
    if (event !== null) see(event);
  });
}
