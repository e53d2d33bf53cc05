import type { Alerting, Receiver } from './alert.ts';
import type { EventExpression, FieldType, Scalar } from './event.ts';
import type { Monitoring } from './monitoring.ts';
import type { Pipeline } from './pipeline.ts';
import type { Rollout } from './rollout.ts';
import type { SearchSpace } from './search.ts';
import type { DeclaredUnit } from './time-unit.ts';
import type { TrainerChoice } from './trainer.ts';
import type { View } from './view.ts';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
}

export interface Rule {
  readonly name: string;
  /** Sentence for the dead letter when the rule fails. */
  readonly message: string;
  /** True where the event passes. A null operand fails the rule. */
  readonly passes: EventExpression<boolean>;
}

export interface EventType {
  readonly name: string;
  /** Fields that may not be null in this type. */
  readonly required: readonly string[];
  readonly rules: readonly Rule[];
}

/** How a raw record becomes an event. */
export type SourceFormat =
  | { readonly kind: 'avro' }
  | { readonly kind: 'registry'; readonly subject: string; readonly mapping: EventMapping }
  | { readonly kind: 'json'; readonly mapping: EventMapping };

/** Dotted paths into a team's own record. `type` may be a constant instead. */
export interface EventMapping {
  readonly id: string;
  readonly type: { readonly path: string } | { readonly constant: string };
  readonly time: { readonly path: string; readonly unit: DeclaredUnit };
  readonly fields: Readonly<Record<string, string>>;
}

/** How many records of a source may be refused before it is paused. Late events and repeats are none of them. */
export interface RejectLimit {
  readonly atMost: number;
  /** ms of wall time. */
  readonly within: number;
}

/** Which repeats of an id a source recognises, by raw partition. */
export interface Deduplication {
  /** ms between the arrivals of an event and of its repeat. */
  readonly within: number;
  /** Ids that are remembered of a partition at most: those accepted last. */
  readonly atMost: number;
}

export interface Source {
  readonly name: string;
  /** A topic of a team's own that it is read from. Absent: the one that Millrace makes (`rawTopic` in schemas/names.ts). */
  readonly topic?: string;
  readonly partitions: number;
  readonly format: SourceFormat;
  readonly fields: readonly Field[];
  readonly events: readonly EventType[];
  /** The field whose value keys the raw topic. */
  readonly key: string;
  /** ms. Watermark = running maximum - outOfOrderness. */
  readonly outOfOrderness: number;
  /**
   * Silence after which views may leave a partition out, ms; until then neither that nor the broker's clock moves them on. Null: as soon
   * as outOfOrderness allows, and at least a second.
   */
  readonly idleAfter: number | null;
  /** An event later than its append time by more than this is refused. ms; null switches the check off (replays of old data never trip it). */
  readonly maxFuture: number | null;
  /** Null where a repeat counts as another event. */
  readonly deduplicate: Deduplication | null;
  /** Null where it is never paused. */
  readonly rejects: RejectLimit | null;
}

/** A read of a view by a model: the request's fields that make the key, and the prefix of its features' names. */
export interface ViewRead {
  /** Name of this read: features are `<name>.<feature>`. */
  readonly name: string;
  readonly view: string;
  /** Fields of the request, in the order of the view's entity (so that a reverse route is a read of `route`). */
  readonly key: readonly string[];
  /** Field of the request that holds an IANA zone, for periodic features; null = UTC. */
  readonly zone: string | null;
  /** What stands for a field of the key where the request's is null, as text. */
  readonly defaults: Readonly<Record<string, string>>;
  /** A request without a key is answered, and the features of this read are null. Otherwise it is refused. */
  readonly optional: boolean;
  /** A state whose as-of is further behind the request than this, ms, is not read; null = however old. */
  readonly maxAge: { readonly ms: number; readonly older: 'refuse' | 'nulls' } | null;
}

/** Where a feature of a model's vector comes from. */
export type ModelFeature =
  | {
      readonly kind: 'stored';
      readonly name: string;
      readonly read: number /** Index into the view's features. */;
      readonly feature: number;
    }
  | {
      readonly kind: 'on_demand';
      readonly name: string;
      /** As it was declared; null for a field of the request. */
      readonly expression: string | null;
      /** `stored` holds the request's stored features by read and feature name; null where empty. */
      readonly evaluate: (request: EventScope) => number | null;
    };

/** What an on-demand expression sees: the request's fields and one object a read. */
export type EventScope = Readonly<Record<string, Scalar | Readonly<Record<string, number | null>>>>;

export const LABEL_CHOICES = ['first', 'last'] as const;

/** A label belongs to the latest request with its keys at or before it. */
export interface Label {
  readonly source: string;
  readonly eventType: string;
  /** Equal fields that join the label event to its request. */
  readonly join: ReadonlyArray<{ readonly label: string; readonly request: string }>;
  /** 1, 0, or null where the event tells nothing. */
  readonly evaluate: EventExpression<boolean>;
  /** ms after the label event's time. */
  readonly maturity: number;
  /** A label that comes later than this after its request is none. ms; null = it may come at any time. */
  readonly within: number | null;
  /** Of several labels of one request: the first that came, or the last by the time of the training. */
  readonly which: (typeof LABEL_CHOICES)[number];
}

export interface Model {
  readonly name: string;
  readonly task: 'binary';
  readonly request: { readonly source: string; readonly eventType: string };
  readonly reads: readonly ViewRead[];
  readonly features: readonly ModelFeature[];
  readonly layoutHash: string;
  readonly label: Label;
  readonly trainer: TrainerChoice;
  readonly sample: { readonly maxRows: number; readonly seed: number };
  /** Records of its predictions carry the headers of CloudEvents. */
  readonly cloudEvents: boolean;
  /** Score at or above which the decision is true. */
  readonly threshold: number;
  /** How long inference waits for the frontier, live. ms. */
  readonly gate: { readonly maxWait: number };
  /** Training set bounds by request time, epoch ms, and the names a report uses. Null = all there is. */
  readonly training: { readonly from: number | null; readonly to: number | null };
  readonly monitoring: Monitoring;
  readonly rollout: Rollout;
  /** Null where nothing is tuned. */
  readonly search: SearchSpace | null;
}

/** Certificates as PEM texts. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** One Redis or Valkey, a Redis Cluster, or a primary that Sentinels name. */
export interface RedisConnection {
  /** `redis://user:password@host:port/database`, `rediss://` for TLS; several hosts with commas (nodes of a cluster, Sentinels). */
  readonly url: string;
  /** They count more than those in `url`. */
  readonly username?: string;
  readonly password?: string;
  /** `servername`: the name in the server's certificate, where it is not the host's. */
  readonly tls?: boolean | (TlsFiles & { readonly servername?: string });
  /** The hosts of `url` are Sentinels, and `primary` is the name they know the primary by. */
  readonly sentinel?: { readonly primary: string; readonly username?: string; readonly password?: string };
}

export interface Connections {
  readonly kafka: {
    readonly brokers: readonly string[];
    readonly tls: TlsFiles | boolean;
    readonly sasl: {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    } | null;
  };
  readonly redis: RedisConnection;
  readonly registry: { readonly url: string; readonly username?: string; readonly password?: string };
  readonly clickhouse: {
    readonly url: string;
    readonly database: string;
    readonly username?: string;
    readonly password?: string;
  };
  /** Redis of the pipelines' queue (BullMQ); `noeviction`. Default: that of the online store. */
  readonly queue: RedisConnection;
  /** Where alerts go, by name. */
  readonly receivers: Readonly<Record<string, Receiver>>;
  /** `host:port` of private addresses that receivers may lie at. */
  readonly allowPrivate: readonly string[];
  /** Tracking server that runs are mirrored to; null = none. */
  readonly mlflow: { readonly url: string; readonly token?: string } | null;
}

export interface Retention {
  /** ms. */
  readonly raw: number;
  readonly validated: number;
  readonly predictions: number;
  readonly deadLetters: number;
  /** Kept for the longest window of the view and this much more. */
  readonly viewExtra: number;
  /** Wall time that state is kept beyond the longest window. */
  readonly stateExtra: number;
}

/** Readers that `import` and `replay` know. */
export const READERS = ['flights', 'events'] as const;

/** How a file becomes events: `flights` reads the flights of vega-datasets, `events` any Parquet or JSON lines with the source's columns. */
export interface History {
  readonly reader: (typeof READERS)[number];
  readonly source: string;
  /** Absolute path; null where a command names the file, or the reader has one of its own. */
  readonly file: string | null;
}

/** A whole project: checked, cross-referenced, compiled, frozen. */
export interface Project {
  readonly name: string;
  /** First part of every topic, group, key and table: `<name>` or what a run chose instead. */
  readonly prefix: string;
  readonly directory: string;
  readonly sources: readonly Source[];
  readonly views: readonly View[];
  readonly models: readonly Model[];
  /** At most one a source. */
  readonly history: readonly History[];
  readonly alerting: Alerting;
  readonly pipelines: readonly Pipeline[];
  readonly connections: Connections;
  readonly retention: Retention;
  /** Hash of the declarations, for manifests. */
  readonly hash: string;
}
