import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadProject } from '../../../config/load.ts';
import type { Project } from '../../../schemas/project.ts';

/** Payments as a team's JSON, refunds in Avro of ours; a model that is asked at each payment, and a receiver of alerts. */
const FILES: Readonly<Record<string, string>> = {
  'project.yaml': `name: fifty
sources:
  - source: payments
    key: card
    partitions: 2
    out_of_orderness: 1s
    max_future: 5m
    deduplicate: { within: 10m, at_most: 100000 }
    format: { json: { id: id, type: kind, time: { path: at, unit: iso } } }
    fields: { card: string, merchant: string, amount: double, credit_limit: int, due: timestamp, note: string }
    rules:
      - { name: positive, check: amount > 0, message: The amount is not above zero. }
    events:
      payment: { required: [card, merchant, amount] }
  - source: refunds
    key: card
    partitions: 1
    out_of_orderness: 1s
    fields: { card: string, amount: double }
    events:
      refund: { required: [card, amount] }
`,
  'views/card.yaml': `view: card
source: payments
entity: [card]
resolution: 1s
features:
  - { name: payments, aggregation: count, event: payment, windows: [1m] }
  - { name: spent, aggregation: sum, event: payment, of: amount, scale: 100, range: [0, 10000], windows: [1m] }
`,
  'models/fraud.yaml': `model: fraud
request: payment
reads: { card: }
features: [card.*, amount]
label: { event: payment, join: [card], check: amount > 50, maturity: 0m }
trainer: { name: logistic, epochs: 1 }
sample: { max_rows: 1000, seed: 1 }
threshold: 0.5
gate: { max_wait: 10s }
`,
  'alerts.yaml': `rules:
  - { rule: worse, on: quality, condition: value > 0, severity: page, summary: It is worse. }
routes:
  - { severity: [page], to: [hook] }
delivery: { timeout: 2s, tries: 2, give_up_after: 1m }
`,
  'connections.yaml': `receivers:
  hook: { webhook: "\${env:HOOK}" }
allow_private: ["\${env:ALLOW}"]
`,
};

/** Its files stay in the directory, where `apply` reads them. */
export function fiftyProject(directory: string, hook: string): Project {
  for (const [file, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text);
  }
  return loadProject(directory, {
    prefix: `fifty-${randomUUID().slice(0, 6)}`,
    environment: { HOOK: hook, ALLOW: new URL(hook).host },
  });
}
