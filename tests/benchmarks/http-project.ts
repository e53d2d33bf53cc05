import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One view of 50 features, and a model that reads them all. */
const FILES: Readonly<Record<string, string>> = {
  'project.yaml': `name: bench
retention: { raw: 7d, validated: 7d, predictions: 30d, dead_letters: 30d, view_extra: 3d, state_extra: 7d }
sources:
  - source: payments
    key: card
    partitions: 1
    out_of_orderness: 10s
    max_future: never
    fields: { card: string, amount: double }
    events:
      payment.made: { required: [card, amount] }
      payment.reversed: { required: [card] }
`,
  'views/card.yaml': `view: card
entity: [card]
resolution: 10s
slack: 5m
features:
  - {
      name: amount,
      aggregation: [sum, mean, stddev, max, min],
      event: payment.made,
      of: amount,
      scale: 100,
      range: [0, 1000],
      windows: [1m, 5m, 10m, 30m, 1h, 3h, 6h, 1d],
    }
  - { name: payments, aggregation: count, event: payment.made, windows: [1m, 5m, 10m, 30m, 1h, 3h, 6h, 1d] }
  - { name: newest, aggregation: last, event: payment.made, of: amount, scale: 100, range: [0, 1000], windows: [1h, 1d] }
`,
  'models/fraud.yaml': `model: fraud
request: payment.made
reads: { card: }
features: [card.*]
label: { event: payment.reversed, join: [card], check: "true", maturity: 0m }
trainer: { name: logistic, epochs: 20 }
sample: { max_rows: 1000, seed: 1 }
threshold: 0.5
gate: { max_wait: 20ms }
`,
  'connections.yaml': `kafka: { brokers: '\${env:KAFKA_BROKERS}' }
redis: { url: '\${env:REDIS_URL}' }
registry: { url: 'http://127.0.0.1:9' }
clickhouse: { url: 'http://127.0.0.1:9' }
`,
};

export function writeBenchProject(directory: string): void {
  for (const [name, text] of Object.entries(FILES)) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

export const CARDS = 100;
export const cardOf = (i: number) => `card-${i % CARDS}`;
