import { partitionOf } from '../processors/partition.ts';
import { createValidator } from '../processors/validate.ts';
import type { EventRecord } from '../schemas/event.ts';
import { topics } from '../schemas/names.ts';
import type { Model, Source } from '../schemas/project.ts';
import type { Prediction } from '../schemas/records/prediction.ts';
import { answerHeaders } from '../streams/inference/answer-size.ts';
import { Asker } from '../streams/inference/ask.ts';
import type { Models } from '../streams/inference/predict.ts';
import { SnapshotReader } from '../streams/inference/snapshot.ts';
import { createServed, type Served } from '../streams/inference/takeover.ts';
import { VectorReader } from '../streams/inference/vector.ts';
import type { ApiDeps } from './deps.ts';
import { createEventReader } from './event-input.ts';
import { modelOf, sourceOf } from './find.ts';
import type { Placed } from './outbox.ts';
import { Problem } from './problem.ts';

/** Scores of entities that are remembered for `on_refusal: last`, of one model. */
const MOST_REMEMBERED = 10_000;

/** The last score of the entities of a request. */
export interface LastScore {
  readonly score: number;
  readonly decision: boolean;
  readonly requestTime: number;
  readonly modelVersion: number;
}

/** An answer, and where its record came to stand. */
export interface Recorded {
  readonly prediction: Prediction;
  /** As it answered: the model of the definition before, until the views of a changed one have caught up. */
  readonly model: Model;
  /** Rejects where the record may not be stored. */
  readonly placed: Promise<Placed>;
}

/** Answers requests of one model, and writes each answer to the topic of those that were asked directly. */
export interface Predictor {
  readonly model: Model;
  readonly source: Source;
  /** Throws Problem for what is no request of the model. */
  read(input: unknown): EventRecord;
  /** One round trip for all. Throws StoreError; Problem where no model has been heard of. */
  ask(events: readonly EventRecord[], waitMs: number): Promise<Recorded[]>;
  /** What the same entities got last, from this process. */
  last(event: EventRecord): LastScore | null;
}

export type PredictorDeps = Pick<
  ApiDeps,
  'project' | 'before' | 'store' | 'codecs' | 'clock' | 'models' | 'outbox'
>;

export function createPredictors(deps: PredictorDeps): (model: string) => Predictor {
  const predictors = new Map<string, Predictor>();
  return (name) => {
    let predictor = predictors.get(name);
    if (predictor === undefined) {
      const model = modelOf(deps.project, name);
      const models = deps.models.get(name);
      if (models === undefined) throw new Error(`nobody follows the versions of ${name}`);
      predictor = createPredictor(deps, model, models);
      predictors.set(name, predictor);
    }
    return predictor;
  };
}

/** One asker for each definition of a model that has answered. */
function createAskers({ store, clock, models }: Pick<PredictorDeps, 'store' | 'clock'> & { models: Models }) {
  const askers = new Map<Model, Asker>();
  return (served: Served): Asker => {
    const known = askers.get(served.model);
    if (known !== undefined) return known;
    const vectors = new VectorReader(served.project, served.model, new SnapshotReader(store));
    const asker = new Asker({ ...served, models, vectors, clock });
    askers.set(served.model, asker);
    return asker;
  };
}

function createPredictor(deps: PredictorDeps, model: Model, models: Models): Predictor {
  const { project, store, codecs, clock, outbox } = deps;
  const source = sourceOf(project, model.request.source);
  const vectors = new VectorReader(project, model, new SnapshotReader(store));
  const servedNow = createServed({ project, model, store, clock, models }, deps.before);
  const askerOf = createAskers({ store, clock, models });
  const readEvent = createEventReader(source);
  const validate = createValidator(source);
  const topic = topics.asked(project.prefix, model.name);
  const scores = new Map<string, LastScore>();

  function keyOf(event: EventRecord): string | null {
    const targets = vectors.targets(event, event.time);
    return targets === null ? null : targets.map(({ of, entity }) => `${of.key}:${entity}`).join('\n');
  }

  function remember(event: EventRecord, { score, decision, requestTime, modelVersion }: Prediction): void {
    const key = score === null || decision === null ? null : keyOf(event);
    if (key === null || score === null || decision === null) return;
    scores.delete(key);
    scores.set(key, { score, decision, requestTime, modelVersion });
    if (scores.size <= MOST_REMEMBERED) return;
    const oldest = scores.keys().next().value;
    if (oldest !== undefined) scores.delete(oldest);
  }

  return {
    model,
    source,
    read(input) {
      const { eventType } = model.request;
      const given = readEvent(input, { type: eventType, now: clock.now() });
      if ('fault' in given) throw new Problem(422, given.fault.code, given.fault.detail);
      const { event } = given;
      if (event.type !== eventType)
        throw new Problem(422, 'wrong_event', `${model.name} answers ${eventType}, not ${event.type}.`);
      const rejected = validate(event);
      if (rejected !== null) throw new Problem(422, rejected.code, rejected.detail);
      return event;
    },
    async ask(events, waitMs) {
      const arrivedAt = clock.now();
      const partitions = events.map((event) =>
        partitionOf(String(event[source.key] ?? event.id), source.partitions),
      );
      const served = await servedNow();
      const predictions = await askerOf(served).ask(
        events.map((event, i) => ({ event, arrivedAt, partition: partitions[i] ?? 0 })),
        waitMs,
      );
      const sent = outbox.send(
        predictions.map((prediction) => ({
          topic,
          partition: prediction.sourcePartition,
          key: Buffer.from(prediction.requestId),
          value: codecs.predictions.encode(prediction),
          headers: answerHeaders(served.project, served.model, prediction),
        })),
      );
      return predictions.map((prediction, i): Recorded => {
        const event = events[i];
        if (event !== undefined) remember(event, prediction);
        const placed = sent.then(
          (all) => all[i] ?? { topic, partition: prediction.sourcePartition, offset: null },
        );
        // Whoever waits for it is told; a caller whose deadline came first is not ended by it.
        placed.catch(() => {});
        return { prediction, model: served.model, placed };
      });
    },
    last(event) {
      const key = keyOf(event);
      return key === null ? null : (scores.get(key) ?? null);
    },
  };
}
