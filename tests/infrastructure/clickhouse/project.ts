import { NO_ALERTS } from '../../../config/alerting.ts';
import type { Model, Project, Source } from '../../../schemas/project.ts';

let prefixes = 0;

/** A source with a field of every type. */
export const trips: Source = {
  name: 'trips',
  partitions: 3,
  format: { kind: 'avro' },
  fields: [
    { name: 'place', type: 'string' },
    { name: 'count', type: 'int' },
    { name: 'amount', type: 'double' },
    { name: 'good', type: 'bool' },
    { name: 'begun at', type: 'timestamp' },
  ],
  events: [{ name: 'trip', required: [], rules: [] }],
  key: 'place',
  outOfOrderness: 1_000,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
  maxFuture: null,
};

const late: Model = {
  name: 'late',
  task: 'binary',
  request: { source: 'trips', eventType: 'trip' },
  reads: [],
  features: ['origin.late_1h', "it's `odd`"].map((name) => ({
    kind: 'on_demand',
    expression: null,
    name,
    evaluate: () => null,
  })),
  layoutHash: 'layout-1',
  label: {
    source: 'trips',
    eventType: 'trip',
    join: [],
    evaluate: () => null,
    maturity: 0,
    within: null,
    which: 'first',
  },
  trainer: { name: 'dense', parameters: {} },
  sample: { maxRows: 1, seed: 1 },
  cloudEvents: false,
  threshold: 0.5,
  gate: { maxWait: 20 },
  training: { from: null, to: null },
  monitoring: {
    every: 86_400_000,
    reference: 86_400_000,
    labelWait: 0,
    confidence: 0.95,
    slices: [],
    drift: {
      statistic: 'psi',
      minEffect: 0.1,
      minCount: 1,
      falseDiscoveryRate: 0.05,
      falseAlarmsPerMonth: 1,
      calendar: [],
    },
  },
  rollout: {
    gate: { testLast: 1, maxLoss: 0, sliceTolerance: 0, minRows: 1, maxCalibrationError: 1 },
    shadow: { alpha: 0.05, minGain: 0, block: 1, maxDuration: 1 },
    guard: { tolerance: 0, alpha: 0.05, duration: 1 },
  },
  search: null,
};

export function tripsProject(source: Source = trips): Project {
  const prefix = `t${process.pid}x${Math.random().toString(36).slice(2, 8)}x${prefixes++}`;
  return {
    name: 'test',
    prefix,
    directory: '',
    sources: [source],
    views: [],
    models: [late],
    history: [],
    alerting: NO_ALERTS,
    pipelines: [],
    connections: {
      kafka: { brokers: [], tls: false, sasl: null },
      redis: { url: '' },
      registry: { url: '' },
      clickhouse: { url: '', database: '' },
      queue: { url: '' },
      receivers: {},
      allowPrivate: [],
      mlflow: null,
    },
    retention: { raw: 1, validated: 1, predictions: 1, deadLetters: 1, viewExtra: 1, stateExtra: 1 },
    hash: '',
  };
}
