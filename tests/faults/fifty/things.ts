import { headers, tables, topics } from '../../../schemas/names.ts';
import type { RefusalCode } from '../../../schemas/refusal.ts';
import { edited, problems } from '../../config/project.ts';
import { alert } from '../../infrastructure/alerting/alert.ts';
import type { World } from './world.ts';

/** Where a bad thing must be told, once. */
export type Told =
  /** One dead letter of its record, with this code; null: the record is taken, for nothing is wrong with it after all. */
  | { readonly letter: RefusalCode | null }
  /** One record of a stranger, passed over. */
  | { readonly foreign: string }
  /** One problem with its place, from the loader: `file:line`. */
  | { readonly config: string }
  /** The stream that says it fails, with the reason; it goes on once the thing is over. */
  | { readonly failing: string; readonly reason: RegExp }
  /** One delivery with this status. */
  | { readonly delivery: 'delivered' | 'refused' }
  /** Nothing: whoever met it waited or tried again. */
  | 'mended by itself';

export interface BadThing {
  readonly kind: 'record' | 'bytes' | 'topic' | 'configuration' | 'answer' | 'table';
  readonly name: string;
  readonly told: Told;
  throw(world: World): Promise<unknown>;
}

const text = (value: string) => Buffer.from(value);
const MINUTE = 60_000;

/** A payment that is wrong in some fields. */
const record = (
  name: string,
  code: RefusalCode | null,
  fields: () => Readonly<Record<string, unknown>>,
): BadThing => ({
  kind: 'record',
  name,
  told: { letter: code },
  throw: (world) => world.throwRecord(name, world.payment({ id: name, ...fields() })),
});

/** Bytes in place of an event. */
const bytes = (
  source: 'payments' | 'refunds',
  name: string,
  code: RefusalCode,
  value: Uint8Array | null,
): BadThing => ({
  kind: 'bytes',
  name: `${name} (${source})`,
  told: { letter: code },
  throw: (world) => world.throwRecord(`${name} (${source})`, world.raw(source, value)),
});

/** Somebody else's bytes on one of our own topics. */
const stranger = (name: string, expected: string, topicOf: (world: World) => string): BadThing => ({
  kind: 'topic',
  name: `a stranger's record on the ${name} topic`,
  told: { foreign: expected },
  throw: (world) =>
    world.send([
      { topic: topicOf(world), partition: 0, key: null, value: text(`{"not": "ours", "of": "${name}"}`) },
    ]),
});

const declared = (name: string, place: string, files: () => Record<string, string>): BadThing => ({
  kind: 'configuration',
  name,
  told: { config: place },
  throw: async () => problems(files()),
});

const RECORDS: readonly BadThing[] = [
  record('a missing field', 'missing_field', () => ({ merchant: undefined })),
  record('null in a required field', 'missing_field', () => ({ merchant: null })),
  record('a text for a number', 'bad_envelope', () => ({ amount: 'twelve' })),
  record('a number for a text', 'bad_envelope', () => ({ merchant: { a: 1 } })),
  record('a fraction for a whole number', 'bad_envelope', () => ({ credit_limit: 0.5 })),
  record('a whole number beyond the safe range', 'bad_envelope', () => ({ credit_limit: 2 ** 60 })),
  record('the largest safe number', null, () => ({ credit_limit: Number.MAX_SAFE_INTEGER })),
  record('a type nobody declared', 'unknown_type', () => ({ kind: 'payment.unknown' })),
  record('a rule that says no', 'rule_failed', () => ({ amount: -1 })),
  record('a time an hour ahead', 'future_time', () => ({
    at: new Date(Date.now() + 60 * MINUTE).toISOString(),
  })),
  record('a time an hour ago', 'late', () => ({ at: new Date(Date.now() - 60 * MINUTE).toISOString() })),
  record('30 February', 'bad_envelope', () => ({ at: '2026-02-30T00:00:00Z' })),
  record('no time', 'bad_envelope', () => ({ at: undefined })),
  record('no type', 'bad_envelope', () => ({ kind: undefined })),
  record('no id', 'bad_envelope', () => ({ id: undefined })),
  record('a field nobody declared', null, () => ({ __proto__: undefined, extra: { constructor: 1 } })),
  record('a key with braces, spaces and a line break', null, () => ({ card: 'card {0}\n%' })),
  {
    kind: 'record',
    name: 'a header that claims to be of a dead letter',
    told: { letter: null },
    throw: (world) =>
      world.throwRecord('a header that claims to be of a dead letter', {
        ...world.payment({ id: 'claimed' }),
        headers: { [headers.letter]: '-1:x:9e99:' },
      }),
  },
  {
    kind: 'record',
    name: 'the same event twice',
    told: { letter: 'duplicate' },
    async throw(world) {
      const event = world.payment({ id: 'the same event twice' });
      await world.send([event]);
      await world.throwRecord('the same event twice', event);
    },
  },
];

const BYTES: readonly BadThing[] = [
  bytes('payments', 'no value', 'null_value', null),
  bytes('payments', 'an empty value', 'bad_json', text('')),
  bytes('payments', 'half of a text', 'bad_json', text('{"id":"x","kind":"pay')),
  bytes('payments', 'random bytes', 'bad_json', Buffer.from([0xff, 0xfe, 0x00, 0x9f, 0x92])),
  bytes('payments', 'an array', 'bad_envelope', text('[1,2,3]')),
  bytes('payments', 'nested ten thousand deep', 'bad_json', text(`${'['.repeat(10_000)}`)),
  bytes('refunds', 'no value', 'null_value', null),
  bytes('refunds', 'two bytes', 'bad_wire_format', Buffer.from([0, 1])),
  bytes('refunds', 'another magic byte', 'bad_wire_format', Buffer.from([7, 0, 0, 0, 1, 2, 3])),
  bytes('refunds', 'JSON where Avro is declared', 'bad_wire_format', text('{"id": "x"}')),
  bytes('refunds', 'a schema nobody registered', 'unknown_schema', Buffer.from([0, 0, 9, 9, 9, 2, 65])),
  {
    kind: 'bytes',
    name: 'Avro that ends too soon',
    told: { letter: 'bad_avro' },
    async throw(world) {
      const codecs = await world.platform.codecs();
      const event = { id: 'r', type: 'refund', time: Date.now(), card: 'card-1', amount: 1 };
      const whole = codecs.encodeRaw('refunds', event);
      await world.throwRecord(
        'Avro that ends too soon',
        world.raw('refunds', whole.subarray(0, whole.length - 4)),
      );
    },
  },
  {
    kind: 'bytes',
    name: 'a clock that is none',
    told: { letter: 'bad_clock' },
    throw: (world) =>
      world.throwRecord('a clock that is none', {
        ...world.raw('payments', null),
        headers: { [headers.clock]: 'tomorrow' },
      }),
  },
];

const TOPICS: readonly BadThing[] = [
  stranger('validated', 'validated event', ({ project }) => topics.validated(project.prefix, 'payments')),
  stranger('predictions', 'prediction', ({ project }) => topics.predictions(project.prefix, 'fraud')),
  stranger('shadow', 'prediction', ({ project }) => topics.shadow(project.prefix, 'fraud')),
  stranger('dead-letter', 'dead letter', ({ project }) => topics.deadLetters(project.prefix, 'refunds')),
  stranger('alerts', 'alert', ({ project }) => topics.alerts(project.prefix)),
  stranger('models', 'model version', ({ project }) => topics.models(project.prefix)),
  stranger('view', 'block', ({ project }) => topics.view(project.prefix, project.views[0]?.id ?? '')),
];

const CONFIGURATION: readonly BadThing[] = [
  declared('a word that is no key', 'project.yaml:3', () =>
    edited('project.yaml', 'source: orders', 'sauce: orders'),
  ),
  declared('a field that is not there', 'views/customer.yaml:6', () =>
    edited('views/customer.yaml', 'of: amount', 'of: ammount'),
  ),
  declared('an expression of another type', 'project.yaml:16', () =>
    edited('project.yaml', 'amount > 0', 'amount + 1.0'),
  ),
  declared('no time for refusals', 'project.yaml:5', () =>
    edited('project.yaml', 'key: order_id', 'key: order_id\n    rejects: {at_most: 9, within: 0s}'),
  ),
  declared('an event nobody declared', 'models/returns.yaml:2', () =>
    edited('models/returns.yaml', 'request: order.placed', 'request: order.plaiced'),
  ),
  declared('a window that is no multiple', 'views/customer.yaml:5', () =>
    edited('views/customer.yaml', '[1h, 1d]', '[90s, 1d]'),
  ),
  declared('a secret written out', 'connections.yaml:2', () => ({
    'connections.yaml': 'registry:\n  password: hunter2\n  url: http://localhost:1\n',
  })),
  declared('a variable that is not set', 'connections.yaml:2', () => ({
    'connections.yaml': `kafka:\n  brokers: \${env:NOT_SET}\n`,
  })),
];

const ANSWERS: readonly BadThing[] = [
  {
    kind: 'answer',
    name: 'ClickHouse fails an insert',
    told: 'mended by itself',
    throw: async ({ warehouse }) => warehouse.failNext('before'),
  },
  {
    kind: 'answer',
    name: 'ClickHouse loses an answer',
    told: 'mended by itself',
    throw: async ({ warehouse }) => warehouse.failNext('after'),
  },
  {
    kind: 'answer',
    name: 'ClickHouse is away for three seconds',
    told: { failing: 'archive', reason: /switched off/ },
    async throw({ warehouse }) {
      warehouse.setAvailable(false);
      await new Promise((done) => setTimeout(done, 3_000));
      warehouse.setAvailable(true);
    },
  },
  {
    kind: 'answer',
    name: 'a receiver refuses',
    told: { delivery: 'refused' },
    throw: (world) => world.alert(alert(400, { model: 'fraud' })),
  },
  {
    kind: 'answer',
    name: 'a receiver stumbles, then takes it',
    told: { delivery: 'delivered' },
    throw: (world) => world.alert(alert(503, { model: 'fraud' })),
  },
];

const TABLES: readonly BadThing[] = [
  {
    kind: 'table',
    name: 'the table of ticks is gone, until `apply`',
    told: { failing: 'pipelines', reason: /Run `millrace apply`/ },
    async throw(world) {
      await world.warehouse.command(`DROP TABLE ${tables.ticks(world.project.prefix)}`);
      await new Promise((done) => setTimeout(done, 4_000));
      await world.mendTables();
    },
  },
  {
    kind: 'table',
    name: 'a tick in the words of somebody else',
    told: 'mended by itself',
    throw: (world) =>
      world.warehouse.insert(
        tables.ticks(world.project.prefix),
        [
          {
            tick: '2020-01-01T00:00:00.000Z',
            state: 'finished',
            detail: 'not json',
            at: '2020-01-01T00:00:00.000Z',
          },
        ],
        { token: 'strange tick' },
      ),
  },
];

export const BAD_THINGS: readonly BadThing[] = [
  ...RECORDS,
  ...BYTES,
  ...TOPICS,
  ...CONFIGURATION,
  ...ANSWERS,
  ...TABLES,
];
