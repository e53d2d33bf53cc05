import type { EventRecord } from '../../schemas/event.ts';
import type { Model } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import type { PredictionRefusal } from '../../schemas/refusal.ts';
import type { Vector } from './vector.ts';

/** A version of the model, ready to score. */
export interface ScoringModel {
  readonly version: number;
  /** SHA-256. */
  readonly artefact: string;
  readonly layoutHash: string;
  readonly threshold: number;
  score(vector: Float64Array): number;
}

/** Who answers a request, and who is scored beside. */
export interface Roles {
  readonly champion: ScoringModel | null;
  readonly shadows: readonly ScoringModel[];
}

/** What inference asks for between two batches. */
export interface Models {
  /** By the event time of a request. Costs nothing, and stays the same for as long as it is held. */
  current(): (eventTime: number) => Roles;
  /** Resolves when everything is known that the registry holds now. */
  refresh(): Promise<void>;
}

/** A request, and the vector that was read for it. */
export interface Asked {
  readonly event: EventRecord;
  readonly vector: Vector;
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  readonly sourceOffset: number;
  readonly rawAppendTime: number;
  readonly waitMs: number;
}

const NO_VALUES: readonly number[] = [];

/** What all versions' answers to one request have in common. */
export type Draft = Omit<
  Prediction,
  'id' | 'modelVersion' | 'artefact' | 'status' | 'reason' | 'score' | 'decision'
>;

export function draftOf(model: Model, asked: Asked): Draft {
  const { event, vector } = asked;
  return {
    format: 1,
    requestId: event.id,
    requestTime: event.time,
    model: model.name,
    layout: model.layoutHash,
    vector: vector.status === 'read' ? Array.from(vector.values) : NO_VALUES,
    reads: vector.reads,
    absent: vector.absent,
    sourceTopic: asked.sourceTopic,
    sourcePartition: asked.sourcePartition,
    sourceOffset: asked.sourceOffset,
    rawAppendTime: asked.rawAppendTime,
    waitMs: asked.waitMs,
    readMs: 0,
    scoreMs: 0,
  };
}

/** One version's answer: a score and a decision, or why there is none. */
export function answerOf(draft: Draft, id: string, vector: Vector, scorer: ScoringModel | null): Prediction {
  const reason: PredictionRefusal | null =
    vector.status === 'refused'
      ? vector.reason
      : scorer === null
        ? 'no_model'
        : scorer.layoutHash === draft.layout
          ? null
          : 'layout_mismatch';
  const own = { ...draft, id, modelVersion: scorer?.version ?? 0, artefact: scorer?.artefact ?? '' };
  if (vector.status === 'refused' || scorer === null || reason !== null)
    return { ...own, status: 'refused', reason, score: null, decision: null };
  const score = scorer.score(vector.values);
  return { ...own, status: 'scored', reason: null, score, decision: score >= scorer.threshold };
}

/** The first record of an id in its partition counts. */
export const predictionId = (requestId: string, model: string) => `${requestId}:${model}`;
export const shadowId = (requestId: string, model: string, version: number) =>
  `${predictionId(requestId, model)}:v${version}`;
