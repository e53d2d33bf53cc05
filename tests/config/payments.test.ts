import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { generatePayments } from '../../docs/examples/payments/generate.ts';
import { contributionOf } from '../../processors/contribute.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { asOf } from '../../processors/read.ts';
import { createValidator } from '../../processors/validate.ts';
import { DecodeFailure } from '../../schemas/codec.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { createJsonDecoder, createJsonEncoder } from '../../schemas/json-event.ts';
import { HOUR } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { oracleRead } from '../oracle/naive.ts';
import { dice, expectClose, expectSameBits, logsOf, readLogs, shuffled } from '../processors/harness.ts';
import { load } from './project.ts';

/** The second project, through the processors: what a newcomer declares means what it says. */

const directory = fileURLToPath(new URL('../../docs/examples/payments', import.meta.url));
const project = loadProject(directory, { environment: {} });
const [source] = project.sources;
if (source?.format.kind !== 'json') throw new Error('the payments are JSON');
const decode = createJsonDecoder(source, source.format.mapping);
const refusal = createValidator(source);

const records = generatePayments({ days: 3, cards: 300, merchants: 40, seed: 7 });
const decoded = records.map((record) => decode(Buffer.from(JSON.stringify(record))));
const events = decoded.filter((event): event is EventRecord => !(event instanceof DecodeFailure));
const accepted = events.filter((event) => refusal(event) === null);

describe('the generator', () => {
  it('gives the same records for a seed, and others for another', () => {
    const again = generatePayments({ days: 3, cards: 300, merchants: 40, seed: 7 });
    expect(again).toEqual(records);
    expect(generatePayments({ days: 1, cards: 300, seed: 8 })[5]).not.toEqual(
      generatePayments({ days: 1, cards: 300, seed: 9 })[5],
    );
  });

  it('writes what the mapping reads, and few payments that a rule refuses', () => {
    expect(events).toHaveLength(records.length);
    const refused = events.length - accepted.length;
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(events.length / 200);
    const [first] = events;
    expect(first).toMatchObject({ type: 'payment.requested', chargeback: null });
    expect(typeof first?.card_country).toBe('string');
  });

  it('can be written again by the mapping that reads it', () => {
    if (source.format.kind !== 'json') return expect.unreachable();
    const encode = createJsonEncoder(source, source.format.mapping);
    for (const event of events.slice(0, 500)) expect(decode(encode(event))).toEqual(event);
  });

  it('keeps within the out-of-orderness that the source declares', () => {
    const outOfOrder = accepted.filter((event, i) => event.time < (accepted[i - 1]?.time ?? 0)).length;
    expect(outOfOrder).toBeGreaterThan(100);
    let maximum = Number.NEGATIVE_INFINITY;
    for (const { time } of accepted) {
      expect(time).toBeGreaterThanOrEqual(maximum - source.outOfOrderness);
      maximum = Math.max(maximum, time);
    }
  });

  it('settles every payment, and has fraud come in bursts', () => {
    const settled = accepted.filter((event) => event.type === 'payment.settled');
    const fraud = new Set(
      settled.filter((event) => event.chargeback === true).map((event) => event.payment_id),
    );
    expect(fraud.size / settled.length).toBeGreaterThan(0.01);
    expect(fraud.size / settled.length).toBeLessThan(0.15);
    const model = project.models[0];
    expect(settled.filter((event) => model?.label.evaluate(event) === true)).toHaveLength(fraud.size);

    // What tells them apart: the payments of the same card in the ten minutes before.
    const requests = accepted.filter((event) => event.type === 'payment.requested');
    const before = (event: EventRecord) =>
      requests.filter(
        (one) => one.card === event.card && one.time < event.time && one.time >= event.time - HOUR / 6,
      ).length;
    const mean = (list: readonly EventRecord[]) =>
      list.reduce((sum, event) => sum + before(event), 0) / list.length;
    const honest = requests.filter((event) => !fraud.has(event.payment_id as string)).slice(0, 500);
    expect(mean(requests.filter((event) => fraud.has(event.payment_id as string)))).toBeGreaterThan(
      20 * mean(honest) + 0.5,
    );
  });
});

const viewOf = (name: string): View => {
  const view = project.views.find((one) => one.name === name);
  if (view === undefined) throw new Error(`there is no view ${name}`);
  return view;
};

/** Entities with the most events, and some with few. */
function entitiesOf(view: View): Array<[entity: string, events: EventRecord[]]> {
  const byEntity = new Map<string, EventRecord[]>();
  for (const event of accepted) {
    const entity = entityKey(event, view.entity);
    if (entity === null) continue;
    const list = byEntity.get(entity) ?? [];
    list.push(event);
    byEntity.set(entity, list);
  }
  const sorted = [...byEntity].sort((a, b) => b[1].length - a[1].length);
  return [...sorted.slice(0, 8), ...sorted.slice(-4)];
}

describe.each(['card', 'merchant'])('the view %s', (name) => {
  const view = viewOf(name);
  const end = accepted.reduce((latest, event) => Math.max(latest, event.time), 0);

  it('reads what the naive oracle computes, the same bits however events came and were compacted', () => {
    const next = dice(11);
    for (const [, own] of entitiesOf(view)) {
      const contributions = own.flatMap(
        (event, offset) => contributionOf(view, 'payments', event, offset) ?? [],
      );
      for (let n = 0; n < 6; n += 1) {
        const time = Math.floor(end - next() * 2 * 24 * HOUR);
        const edge = asOf(view, time, Number.MAX_SAFE_INTEGER);
        const request = { time, zone: null };
        const plain = readLogs(
          view,
          logsOf(view, contributions, () => 1),
          request,
          edge,
        );
        const history = own.map((event) => ({ source: 'payments', event }));
        expectClose(view, plain, oracleRead(view, history, request, edge), 1e9);
        const compacted = logsOf(view, shuffled(contributions, next), next, () =>
          next() < 0.5 ? Math.floor(edge.asOf - next() * HOUR) : null,
        );
        expectSameBits(view, readLogs(view, compacted, request, edge), plain);
      }
    }
  });
});

describe('the guide for newcomers', () => {
  const guide = readFileSync(`${directory}/README.md`, 'utf8');
  const blocks = [...guide.matchAll(/```(yaml|json)\n([\s\S]*?)\n```/g)].map(([, kind, text]) => [
    kind,
    text ?? '',
  ]);
  const view = readFileSync(`${directory}/views/card.yaml`, 'utf8');

  it('shows a record that the source accepts', () => {
    const [, record] = blocks.find(([kind]) => kind === 'json') ?? [];
    const event = decode(Buffer.from(record ?? ''));
    expect(event).toMatchObject({ id: '7f3', card: 'c_42', amount: 23.45 });
  });

  it('shows features and connections that load', () => {
    const [features = '', connections = ''] = blocks.flatMap(([kind, text]) =>
      kind === 'yaml' ? [text ?? ''] : [],
    );
    const indented = features.split('\n').map((line) => `  ${line}`);
    const loaded = load(
      {
        'project.yaml': 'name: mine',
        'sources/payments.yaml': readFileSync(`${directory}/sources/payments.yaml`, 'utf8'),
        'views/card.yaml': `${view.slice(0, view.indexOf('features:'))}features:\n${indented.join('\n')}\n`,
        'connections.yaml': connections,
      },
      { environment: { KAFKA_PASSWORD: 'x', REDIS_URL: 'redis://r:1' } },
    );
    expect(loaded.views[0]?.features.map((feature) => feature.name)).toContain('amount_p50_7d');
    expect(loaded.connections.kafka.brokers).toHaveLength(2);
  });
});

describe('sketches', () => {
  it('HyperLogLog: at most 1 % of reads beyond three standard errors, bias below half of one', () => {
    const view = viewOf('merchant');
    const next = dice(5);
    const errors: number[] = [];
    for (const [, own] of entitiesOf(view).slice(0, 8)) {
      const contributions = own.flatMap(
        (event, offset) => contributionOf(view, 'payments', event, offset) ?? [],
      );
      const logs = logsOf(view, contributions, () => 1);
      const history = own.map((event) => ({ source: 'payments', event }));
      for (let n = 0; n < 40; n += 1) {
        const time = (own[Math.floor(next() * own.length)] as EventRecord).time + 10_000;
        const edge = asOf(view, time, Number.MAX_SAFE_INTEGER);
        const request = { time, zone: null };
        const got = readLogs(view, logs, request, edge);
        const exact = oracleRead(view, history, request, edge);
        for (const [k, feature] of view.features.entries()) {
          if (feature.aggregation !== 'distinct' || !((exact[k] as number) > 0)) continue;
          const precision = view.sets[feature.set]?.sketches[feature.columns[0] as number]?.precision ?? 12;
          const standardError = 1.04 / Math.sqrt(2 ** precision);
          errors.push(((got[k] as number) / (exact[k] as number) - 1) / standardError);
        }
      }
    }
    expect(errors.length).toBeGreaterThan(300);
    expect(errors.filter((error) => Math.abs(error) > 3).length).toBeLessThanOrEqual(errors.length / 100);
    expect(Math.abs(errors.reduce((sum, error) => sum + error, 0) / errors.length)).toBeLessThan(0.5);
  });
});
