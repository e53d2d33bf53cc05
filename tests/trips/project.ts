import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../../models/random.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';

/**
 * Trips of cars: four an hour and minute, and a model that says at the start whether one will be expensive. At `TURN`
 * prices turn round: what was expensive is cheap from then on, so the model of before is as wrong as it can be.
 *
 *   hours  0                    12          15           18               33
 *          history, imported    | replayed ...
 *                               TURN        FIRED: the day's first windows have labels
 */
const BEGIN = Date.UTC(2026, 0, 1);
export const TURN = BEGIN + 12 * HOUR;
export const FIRED = TURN + 3 * HOUR;
export const END = BEGIN + 33 * HOUR;

const FILES: Readonly<Record<string, string>> = {
  'project.yaml': `name: trips
retention: { raw: 7d, validated: 7d, predictions: 30d, dead_letters: 30d, view_extra: 3d, state_extra: 7d }
sources:
  - source: trips
    key: car
    partitions: 2
    out_of_orderness: 30s
    max_future: 5m
    fields: { car: string, zone: string, price: double }
    events:
      trip.started: { required: [car, zone] }
      trip.ended: { required: [car, zone, price] }
`,
  'views/zone.yaml': `view: zone
entity: [zone]
resolution: 10s
slack: 30m
features:
  - { name: starts, aggregation: count, event: trip.started, windows: [10m, 1h] }
`,
  'models/cost.yaml': `model: cost
request: trip.started
reads: { around: { view: zone } }
features:
  - around.*
  - dear: "zone == 'z0' || zone == 'z1' ? 1.0 : 0.0"
label: { event: trip.ended, join: [car], check: price > 50, maturity: 0m }
trainer: { name: logistic, epochs: 20 }
search: { parameters: { l2: { real: [0.0001, 0.1], log: true } }, trials: 4, budget: 1m }
sample: { max_rows: 5000, seed: 1 }
threshold: 0.5
gate: { max_wait: 20ms }
monitoring: { every: 3h, reference: 9h, label_wait: 1h }
rollout:
  gate: { test_last: 1h, min_rows: 100, max_calibration_error: 0.5 }
  shadow: { block: 1h }
  guard: { duration: 7d }
`,
  'alerts.yaml': `rules:
  - rule: model_worse
    on: quality
    statistics: [log_loss]
    condition: slice == '' && by != 'shadow' && rows >= 300 && low > 0.8
    severity: page
    summary: '{model} loses {value} nats a prediction.'
routes: [{ to: [hook] }]
`,
  'pipelines.yaml': `pipelines:
  - pipeline: retrain
    model: cost
    start: { alerts: [model_worse], cooldown: 7d }
    event_latency: 10m
    steps:
      - { step: dataset, retries: 10, with: { last: 3h } }
      - { step: tune, retries: 10 }
      - { step: train, retries: 10 }
      - { step: evaluate, retries: 10 }
      - { step: gate, retries: 10 }
      - { step: register, retries: 10 }
      - { step: shadow, retries: 10 }
      - { step: decide, retries: 10 }
`,
  'connections.yaml': `kafka: { brokers: '\${env:KAFKA_BROKERS}' }
redis: { url: '\${env:REDIS_URL}' }
registry: { url: '\${env:REGISTRY_URL}' }
clickhouse: { url: '\${env:CLICKHOUSE_URL}' }
receivers: { hook: { webhook: 'http://127.0.0.1:\${env:HOOK_PORT}/alerts' } }
allow_private: ['127.0.0.1:\${env:HOOK_PORT}']
`,
};

export function writeProject(directory: string): void {
  for (const [name, text] of Object.entries(FILES)) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

/** In the order of their times. */
export function trips(): readonly EventRecord[] {
  const random = createRandom(7);
  const events: EventRecord[] = [];
  for (let time = BEGIN; time < END; time += 15 * SECOND) {
    const zone = `z${Math.floor(random.next() * 4)}`;
    const dear = (zone === 'z0' || zone === 'z1') === time < TURN;
    const price = random.next() < (dear ? 0.9 : 0.1) ? 80 : 20;
    const car = `car-${time}`;
    events.push({ id: `s-${time}`, type: 'trip.started', time, car, zone, price: null });
    events.push({ id: `e-${time}`, type: 'trip.ended', time: time + 10 * MINUTE, car, zone, price });
  }
  return events.sort((a, b) => a.time - b.time);
}
