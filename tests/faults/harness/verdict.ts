import { topics } from '../../../schemas/names.ts';
import type { DeadLetter } from '../../../schemas/records/dead-letter.ts';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { type Accepted, Truth } from '../../simulation/truth.ts';
import { SOURCE } from './project.ts';
import type { Stage } from './stage.ts';

/** What a raw topic, and what was made of it, say in the end. */
export interface Outcome {
  /** Raw records that hold an event. */
  readonly raw: ReadonlyArray<Accepted>;
  readonly accepted: readonly Accepted[];
  readonly letters: readonly DeadLetter[];
  /** The first of each id. */
  readonly predictions: readonly Prediction[];
  readonly repeats: number;
}

/** What was counted between two moments of event time. */
export interface Facts {
  readonly events: number;
  /** Events appended later than `outOfOrderness` after their time: they may be refused. */
  readonly overdue: number;
  /** Contributions of events in time that ingest or a view refused. */
  readonly lost: number;
  readonly requests: number;
  readonly unanswered: number;
  /** Requests that were refused, by reason; a model is not declared, so `no_model` has its vector. */
  readonly refused: Readonly<Record<string, number>>;
  readonly compared: number;
  /** Vectors that are not what the oracle says as of the recorded moment. */
  readonly offOracle: readonly string[];
}

const placeOf = (partition: number, offset: number) => `${partition}:${offset}`;

export async function readOutcome({ platform, project, model, rawTopic }: Stage): Promise<Outcome> {
  const codecs = await platform.codecs();
  const decoder = codecs.raw(SOURCE);
  const { kafka } = platform;
  const tailsOf = (topic: string) => readTails(kafka, topic, 1e9);
  const rawTails = await tailsOf(rawTopic);
  await decoder.prepare(rawTails.flat());
  const raw = rawTails.flatMap((tail, partition) =>
    tail.flatMap((record) => {
      const { event, offset, appendTime, arrivedAt } = decoder.decode(record);
      return event === null ? [] : [{ event, offset, appendTime, arrivedAt, partition, source: SOURCE }];
    }),
  );
  const validated = codecs.validated(SOURCE);
  const accepted = (await tailsOf(topics.validated(project.prefix, SOURCE))).flatMap((tail, partition) =>
    tail.flatMap(({ value }) =>
      value === null ? [] : [{ ...validated.decode(value), partition, source: SOURCE }],
    ),
  );
  const decoded = async <T>(topic: string, decode: (bytes: Uint8Array) => T): Promise<T[]> =>
    (await tailsOf(topic)).flat().flatMap(({ value }) => (value === null ? [] : [decode(value)]));
  const letters = await decoded(topics.deadLetters(project.prefix, SOURCE), (bytes) =>
    codecs.deadLetters.decode(bytes),
  );
  const answers = await decoded(topics.predictions(project.prefix, model.name), (bytes) =>
    codecs.predictions.decode(bytes),
  );
  const predictions = firstOf(answers, ({ id }) => id);
  return {
    raw,
    accepted: firstOf(accepted, ({ partition, offset }) => placeOf(partition, offset)),
    letters: firstOf(letters, (l) => `${placeOf(l.sourcePartition, l.sourceOffset)}:${l.writer}`),
    predictions,
    repeats: answers.length - predictions.length,
  };
}

/** Of events whose time lies in [from, to). At most `most` vectors are compared. */
export interface Window {
  readonly from?: number;
  readonly to?: number;
  readonly most?: number;
}

export type Judge = (window?: Window) => Facts;

/** Compares an outcome with what must be: the raw topic tells what was sent, and in time; the oracle what its vectors are. */
export function judgeOf(stage: Pick<Stage, 'project' | 'source' | 'model'>, outcome: Outcome): Judge {
  const { source, model } = stage;
  const placesOf = (list: readonly Accepted[]) =>
    new Set(list.map(({ partition, offset }) => placeOf(partition, offset)));
  const accepted = placesOf(outcome.accepted);
  const answers = new Map(outcome.predictions.map((one) => [one.requestId, one]));
  const differ = comparison(stage, outcome);
  return ({ from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, most = 6_000 } = {}) => {
    const raw = outcome.raw.filter(({ event }) => event.time >= from && event.time < to);
    const inTime = placesOf(
      raw.filter(({ event, appendTime }) => appendTime - event.time <= source.outOfOrderness),
    );
    const refusals = outcome.letters.filter((l) => inTime.has(placeOf(l.sourcePartition, l.sourceOffset)));
    const byViews = refusals.filter(({ writer }) => writer !== 'ingest').length;
    const requests = raw.filter(
      ({ event, partition, offset }) =>
        event.type === model.request.eventType && accepted.has(placeOf(partition, offset)),
    );
    const refused: Record<string, number> = {};
    for (const { event } of requests) {
      const reason = answers.get(event.id)?.reason ?? null;
      if (reason !== null && reason !== 'no_model') refused[reason] = (refused[reason] ?? 0) + 1;
    }
    const known = requests.filter(({ event }) => (answers.get(event.id)?.vector.length ?? 0) > 0);
    const every = Math.max(1, Math.ceil(known.length / most));
    const compared = known.filter((_, i) => i % every === 0);
    return {
      events: raw.length,
      overdue: raw.length - inTime.size,
      lost: [...inTime].filter((place) => !accepted.has(place)).length + byViews,
      requests: requests.length,
      unanswered: requests.filter(({ event }) => !answers.has(event.id)).length,
      refused,
      compared: compared.length,
      offOracle: compared.flatMap((request) => differ(answers.get(request.event.id), request) ?? []),
    };
  };
}

/** Says how an answer differs from the oracle, which is asked once an answer. */
function comparison(
  stage: Pick<Stage, 'project' | 'model'>,
  { accepted, letters }: Outcome,
): (answer: Prediction | undefined, request: Accepted) => string | null {
  const truth = new Truth(
    stage,
    accepted,
    letters.filter(({ writer }) => writer !== 'ingest'),
  );
  const known = new Map<string, string | null>();
  return (answer, request) => {
    if (answer === undefined) return null;
    let said = known.get(answer.id);
    if (said === undefined) {
      said = truth.difference(answer, request);
      known.set(answer.id, said);
    }
    return said;
  };
}

function firstOf<T>(items: readonly T[], key: (item: T) => string): T[] {
  const seen = new Map<string, T>();
  for (const item of items) if (!seen.has(key(item))) seen.set(key(item), item);
  return [...seen.values()];
}
