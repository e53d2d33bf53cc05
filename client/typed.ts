/** The typed client: what `millrace generate client` writes types for. The same calls work over HTTP and over Kafka. */

/** Types of one project. `millrace generate client` writes them. */
export interface ProjectTypes {
  /** Events that may be sent, by source. */
  readonly events: object;
  readonly views: Readonly<Record<string, ViewTypes>>;
  readonly models: Readonly<Record<string, ModelTypes>>;
}

interface ViewTypes {
  /** The fields that make its key. */
  readonly entity: object;
  readonly features: object;
}

interface ModelTypes {
  /** The fields of the event that asks. */
  readonly request: object;
  /** The feature vector by name. */
  readonly features: object;
  /** Names of its reads. */
  readonly reads: string;
}

type Name<Named> = Extract<keyof Named, string>;
export type SourceName<T extends ProjectTypes> = Name<T['events']>;
export type ViewName<T extends ProjectTypes> = Name<T['views']>;
export type ModelName<T extends ProjectTypes> = Name<T['models']>;
type Model<T extends ProjectTypes, M extends ModelName<T>> = T['models'][M];
type View<T extends ProjectTypes, V extends ViewName<T>> = T['views'][V];

interface Read<Reads extends string> {
  readonly read: Reads;
  readonly entity: string;
  /** Every event before this is in the features, and none after it. Epoch ms. */
  readonly asOf: number;
  readonly ageMs: number;
}

/** A prediction as a subscriber gets it. */
export type TypedPrediction<T extends ProjectTypes, M extends ModelName<T>> = {
  readonly id: string;
  readonly requestId: string;
  /** Event time of the request, epoch ms. */
  readonly requestTime: number;
  /** 0 where no version answered. */
  readonly modelVersion: number;
  /** Whether it was asked over HTTP, not by an event. Over Kafka only answers to events come. */
  readonly asked: boolean;
  readonly reads: ReadonlyArray<Read<Model<T, M>['reads']>>;
} & (
  | { readonly status: 'scored'; readonly reason: null; readonly score: number; readonly decision: boolean }
  | { readonly status: 'refused'; readonly reason: string; readonly score: null; readonly decision: null }
);

/** What `predict` answers. */
export interface Answer<T extends ProjectTypes, M extends ModelName<T>> {
  readonly id: string;
  readonly requestId: string;
  readonly requestTime: number;
  readonly model: M;
  /** 0 where no version answered. */
  readonly modelVersion: number;
  readonly status: 'scored' | 'refused';
  /** Why the model gave no score; null where it did. */
  readonly reason: string | null;
  readonly score: number;
  readonly decision: boolean;
  /** Where the score is not the answer of the model now: what `onRefusal` asked for. */
  readonly fallback: 'value' | 'last' | null;
  /** Request time of the score that `last` answers with. */
  readonly lastTime: number | null;
  readonly reads: ReadonlyArray<
    Read<Model<T, M>['reads']> & { readonly view: string; readonly head: number }
  >;
  /** Reads whose features are null, as the model allows. */
  readonly absent: ReadonlyArray<{
    readonly read: Model<T, M>['reads'];
    readonly reason: 'missing_key' | 'stale';
  }>;
  /** With `vector: true`; null where the answer was not computed. */
  readonly features: Model<T, M>['features'] | null;
}

export interface PredictOptions {
  /** An answer within this, ms, whatever happens. Default: as long as the gate of the model waits. */
  readonly deadlineMs?: number;
  /** Where there is no score in time. `error` (default) throws; `value` answers `value`; `last` what the same entities got last. */
  readonly onRefusal?: 'error' | 'value' | 'last';
  /** For `onRefusal: 'value'`, 0 to 1. */
  readonly value?: number;
  /** Whether the features are wanted too. */
  readonly vector?: boolean;
}

/** The features of one entity, as of one edge. */
export interface FeatureRow<T extends ProjectTypes, V extends ViewName<T>> {
  readonly status: 'read';
  readonly entity: string;
  /** Event time of the request, epoch ms. */
  readonly time: number;
  readonly asOf: number;
  /** The same of the sketches; null where the view has none. */
  readonly sketchAsOf: number | null;
  readonly ageMs: number;
  readonly features: View<T, V>['features'];
}

export interface RefusedRow {
  readonly status: 'refused';
  readonly entity: string;
  readonly reason: 'behind' | 'no_frontier' | 'torn';
}

export interface FeatureOptions {
  /** Event time of an imagined request, epoch ms. Default: the newest for which every value is exact. */
  readonly at?: number;
  /** IANA zone for periodic features; default UTC. */
  readonly zone?: string;
}

/**
 * Gets predictions in the order of their partitions, each once, and the place behind them: whoever stores both in one
 * transaction handles each prediction exactly once. The next ones wait for it. An error that it throws ends the subscription.
 */
export type TypedHandler<T extends ProjectTypes, M extends ModelName<T>> = (
  predictions: ReadonlyArray<TypedPrediction<T, M>>,
  place: string,
) => void | Promise<void>;

export interface FollowOptions {
  /** The place that a handler was given: goes on behind it. Default: what is predicted from now on. */
  readonly from?: string;
  /** Told of outages that the subscription waits out. */
  readonly onTrouble?: (error: Error) => void;
}

export interface Followed {
  /** Resolves when it has been closed, rejects with what ended it. */
  readonly done: Promise<void>;
  close(): Promise<void>;
}

/** What works over Kafka and over HTTP alike. */
export interface EventClient<T extends ProjectTypes> {
  /** Sends events of a source, in their order. Resolves once all replicas of Kafka have them. */
  send<S extends SourceName<T>>(
    source: S,
    events: T['events'][S] | ReadonlyArray<T['events'][S]>,
  ): Promise<void>;
  subscribe<M extends ModelName<T>>(
    model: M,
    handler: TypedHandler<T, M>,
    options?: FollowOptions,
  ): Promise<Followed>;
  /** Ends what is open: subscriptions, connections. */
  close(): Promise<void>;
}

/** What the HTTP API answers beside. */
export interface AskingClient<T extends ProjectTypes> extends EventClient<T> {
  /** The features of one entity. Throws ApiError with `code` `behind`, `no_frontier` or `torn` where there is no exact answer. */
  features<V extends ViewName<T>>(
    view: V,
    entity: View<T, V>['entity'],
    options?: FeatureOptions,
  ): Promise<FeatureRow<T, V>>;
  /** The features of many, in their order; one that cannot be answered does not keep the others from it. */
  featuresOf<V extends ViewName<T>>(
    view: V,
    entities: ReadonlyArray<View<T, V>['entity']>,
    options?: FeatureOptions,
  ): Promise<ReadonlyArray<FeatureRow<T, V> | RefusedRow>>;
  /** Asks a model and waits for its answer. Throws ApiError where there is no score and `onRefusal` is `error`. */
  predict<M extends ModelName<T>>(
    model: M,
    request: Model<T, M>['request'],
    options?: PredictOptions,
  ): Promise<Answer<T, M>>;
}
