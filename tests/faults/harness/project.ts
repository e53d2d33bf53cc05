import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const SOURCE = 'payments';
export const PARTITIONS = 3;

export interface ProjectOptions {
  readonly outOfOrdernessMs: number;
  /** How long a live request may wait for its full head. */
  readonly maxWait: string;
  /** False for the twins, which need no addresses. */
  readonly servers?: boolean;
  /** Redis lies behind Sentinels, which know the primary by this name. */
  readonly primary?: string;
}

const connections = (primary: string | undefined): Readonly<Record<string, string>> => ({
  'connections.yaml': `kafka: { brokers: '\${env:KAFKA_BROKERS}' }
redis: { url: '\${env:REDIS_URL}'${primary === undefined ? '' : `, sentinel: { primary: ${primary} }`} }
registry: { url: '\${env:REGISTRY_URL}' }
clickhouse: { url: '\${env:CLICKHOUSE_URL}' }
`,
});

/** Payments of cards at merchants: one view goes by the topic's key, the other is routed anew. */
export function writeProject(directory: string, options: ProjectOptions): void {
  const { outOfOrdernessMs, maxWait, servers = true, primary } = options;
  const files: Readonly<Record<string, string>> = {
    ...(servers ? connections(primary) : {}),
    'project.yaml': `name: payments
retention: { raw: 7d, validated: 7d, predictions: 30d, dead_letters: 30d, view_extra: 3d, state_extra: 7d }
sources:
  - source: ${SOURCE}
    key: card
    partitions: ${PARTITIONS}
    out_of_orderness: ${outOfOrdernessMs / 1_000}s
    fields: { card: string, merchant: string, amount: double }
    events:
      payment.requested: { required: [card, merchant, amount] }
      payment.settled: { required: [card, merchant, amount] }
`,
    'views/card.yaml': `view: card
entity: [card]
resolution: 1s
features:
  - { name: payments, aggregation: count, windows: [10s, 1m, 1h] }
  - { name: spent, aggregation: [sum, max, variance], of: amount, scale: 100, range: [0, 1000], windows: [1m, 1h] }
`,
    'views/merchant.yaml': `view: merchant
entity: [merchant]
resolution: 1s
features:
  - { name: requests, aggregation: count, event: payment.requested, windows: [10s, 1h] }
  - { name: taken, aggregation: [sum, last], event: payment.settled, of: amount, scale: 100, range: [0, 1000], windows: [1h] }
`,
    'models/fraud.yaml': `model: fraud
request: payment.requested
reads: { card: , merchant: }
features: [card.*, merchant.*, amount]
label: { event: payment.settled, join: [card], check: amount > 50, maturity: 0m }
trainer: { name: logistic }
sample: { max_rows: 1000, seed: 1 }
threshold: 0.5
gate: { max_wait: ${maxWait} }
`,
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}
