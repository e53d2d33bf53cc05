import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asyncApiOf } from '../../cli/generate/asyncapi.ts';
import { loadProject } from '../../config/load.ts';
import { generatePayments } from '../../docs/examples/payments/generate.ts';
import { root } from '../architecture/sources.ts';
import { millrace } from './project.ts';

const require = createRequire(import.meta.url);
const payments = join(root, 'docs/examples/payments');
const home = mkdtempSync(join(tmpdir(), 'millrace-generate-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Every line with @ts-expect-error must be wrong, and every other one right. */
const USER = `import { type Events, type Models, overHttp, overKafka, type Views } from './millrace.ts';

const http = overHttp({ url: 'http://127.0.0.1:8420', key: 'mr_x' });
const kafka = overKafka({ brokers: ['127.0.0.1:9092'], registry: { url: 'http://127.0.0.1:8081' } });

const requested: Extract<Events['payments'], { type: 'payment.requested' }> = {
  id: 'e1', type: 'payment.requested', time: 0,
  payment_id: 'p1', card: 'c1', card_country: 'DE', merchant: 'm1', country: 'FR', amount: 12.5,
};
export async function main(): Promise<number | null> {
  await http.send('payments', requested);
  await kafka.send('payments', [requested, { ...requested, category: null }]);
  // @ts-expect-error there is no such source
  await http.send('payment', requested);
  // @ts-expect-error there is no such event
  await http.send('payments', { ...requested, type: 'payment.refunded' });
  // @ts-expect-error an amount is a number
  await kafka.send('payments', { ...requested, amount: '12.5' });
  // @ts-expect-error a settled payment says whether it was charged back
  await kafka.send('payments', { ...requested, type: 'payment.settled' });
  // @ts-expect-error the merchant is required
  const lacking: Events['payments'] = { id: 'e1', type: 'payment.requested', time: 0, payment_id: 'p1', card: 'c1', card_country: 'DE', country: 'FR', amount: 1 };

  const { features } = await http.features('card', { card: 'c1' });
  const payments: number = features.payments_1h;
  const mean: number | null = features.amount_mean_1d;
  // @ts-expect-error the mean of an empty window is null
  const certain: number = features.amount_mean_1d;
  // @ts-expect-error there is no such window
  features.payments_3h;
  // @ts-expect-error the key of a card is its card
  await http.features('card', { merchant: 'm1' });
  for (const row of await http.featuresOf('merchant', [{ merchant: 'm1' }]))
    if (row.status === 'read') row.features.payments_1m satisfies number;
    else row.reason satisfies 'behind' | 'no_frontier' | 'torn';

  const { id: _, type: __, ...request } = requested;
  const answer = await http.predict('fraud', request, { deadlineMs: 50, onRefusal: 'value', value: 0.2, vector: true });
  answer.score satisfies number;
  // @ts-expect-error a request has an amount
  await http.predict('fraud', { card: 'c1' });
  // @ts-expect-error there is no such model
  await http.predict('frauds', request);
  // @ts-expect-error Kafka is not asked
  kafka.predict;
  const vector: Models['fraud']['features'] | null = answer.features;
  const entity: Views['card']['entity'] = { card: 'c1' };

  const handler = await kafka.subscribe('fraud', (predictions, place) => {
    place satisfies string;
    for (const one of predictions)
      if (one.status === 'scored') one.score satisfies number;
      else one.score satisfies null;
    for (const { score } of predictions) {
      // @ts-expect-error a refused request has no score
      score satisfies number;
    }
  });
  await handler.close();
  void [lacking, certain, vector, entity, payments];
  return mean;
}
`;

const tsc = (directory: string): Promise<{ code: number; out: string }> => {
  const typescript = require.resolve('typescript/package.json');
  const compiler = join(dirname(typescript), JSON.parse(readFileSync(typescript, 'utf8')).bin.tsc);
  return new Promise((done) => {
    execFile(process.execPath, [compiler, '-p', directory], (error, out, err) =>
      done({ code: error === null ? 0 : 1, out: out + err }),
    );
  });
};

describe('millrace generate client', () => {
  const out = join(home, 'src');
  const generate = (...more: string[]) =>
    millrace(['generate', 'client', '--project', payments, '--out', out, ...more]);

  it('types the project: what is right compiles in a strict project, and what is wrong does not', async () => {
    const { code, err } = await generate();
    expect([code, err]).toEqual([0, '']);
    writeFileSync(join(out, 'user.ts'), USER);
    mkdirSync(join(home, 'node_modules/@types'), { recursive: true });
    symlinkSync(join(root, 'node_modules/@types/node'), join(home, 'node_modules/@types/node'));
    writeFileSync(
      join(home, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          exactOptionalPropertyTypes: true,
          module: 'nodenext',
          target: 'es2024',
          types: ['node'],
          allowImportingTsExtensions: true,
          paths: { 'millrace/client': [join(root, 'client/index.ts')] },
        },
        files: ['src/user.ts'],
      }),
    );
    expect(await tsc(home)).toEqual({ code: 0, out: '' });
  });

  it('says with --check whether the file is still what the project says, and writes nothing', async () => {
    expect((await generate('--check')).code).toBe(0);
    const file = join(out, 'millrace.ts');
    writeFileSync(file, `${readFileSync(file, 'utf8')}// by hand\n`);
    const { code, err } = await generate('--check');
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('is not what the project payments says now: run'),
    ]);
    expect(readFileSync(file, 'utf8')).toContain('// by hand');
    const json = await generate('--json');
    expect(JSON.parse(json.out)).toMatchObject({ kind: 'client', file, changed: true });
    expect((await generate('--check', '--json')).code).toBe(0);
  });

  it('names a directory that takes no file', async () => {
    writeFileSync(join(home, 'taken'), '');
    const { code, err } = await millrace([
      'generate',
      'client',
      '--project',
      payments,
      '--out',
      join(home, 'taken'),
    ]);
    expect([code, err]).toEqual([2, expect.stringContaining('Name another directory with --out.')]);
  });
});

describe('millrace generate asyncapi', () => {
  const project = loadProject(payments, { environment: {} });
  const document = asyncApiOf(project) as {
    channels: Record<string, { address: string; messages: Record<string, { $ref: string }> }>;
    components: { messages: Record<string, object>; schemas: Record<string, object> };
  };
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
  beforeAll(() => void addFormats.default(ajv));
  const form = (name: string) => ajv.compile(document.components.schemas[name] ?? { not: {} });

  it('is valid by the JSON Schema of AsyncAPI 3.0', () => {
    const valid = ajv.compile(require('@asyncapi/specs/schemas/3.0.0-without-$id.json'));
    valid(document);
    expect(valid.errors ?? []).toEqual([]);
    expect(valid({ ...document, channels: { a: { address: 5 } } })).toBe(false);
  });

  it('refers to nothing that is not there', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path);
    expect(refs.length).toBeGreaterThan(20);
    for (const path of refs) {
      let at: unknown = document;
      for (const step of path.split('/'))
        at = (at as Record<string, unknown>)[step.replaceAll('~1', '/').replaceAll('~0', '~')];
      expect([path, typeof at]).toEqual([path, 'object']);
    }
  });

  it('names the topics of the project', () => {
    expect(Object.values(document.channels).map(({ address }) => address)).toEqual([
      'payments.payments.raw',
      'payments.payments.validated',
      'payments.payments.dead-letters',
      'payments.predictions.fraud',
      'payments.shadow.fraud',
      'payments.asked.fraud',
      'payments.alerts',
      'payments.models',
    ]);
  });

  it("holds schemas of the team's own records, which take what the example's generator writes", () => {
    const payload = (kind: string) =>
      ajv.compile((document.components.messages[`payments.${kind}`] as { payload: object }).payload);
    const forms = {
      'payment.requested': payload('payment.requested'),
      'payment.settled': payload('payment.settled'),
    };
    const records = generatePayments({ days: 1, cards: 20, merchants: 5 });
    expect(new Set(records.map(({ kind }) => kind)).size).toBe(2);
    for (const record of records) expect([record, forms[record.kind](record)]).toEqual([record, true]);
    const [record] = records;
    expect(forms['payment.requested']({ ...record, amount: {} })).toBe(false);
  });

  it.each([
    ['an event', {}, true],
    ['an event without a category', { category: null }, true],
    ['another type', { type: 'payment.settled' }, false],
    ['no amount', { amount: null }, false],
    ['an unknown field', { tip: 1 }, false],
  ])('judges %s as ingest does', (_, more, right) => {
    const event = {
      id: 'e1',
      type: 'payment.requested',
      time: 0,
      payment_id: 'p1',
      card: 'c1',
      card_country: 'DE',
      merchant: 'm1',
      country: 'FR',
      amount: 12.5,
    };
    expect(form('event.payments.payment.requested')({ ...event, ...more })).toBe(right);
  });

  it('is written by the command, as JSON', async () => {
    const { code, out } = await millrace([
      'generate',
      'asyncapi',
      '--project',
      payments,
      '--out',
      home,
      '--json',
    ]);
    expect([code, JSON.parse(out).changed]).toEqual([0, true]);
    expect(JSON.parse(readFileSync(join(home, 'asyncapi.json'), 'utf8'))).toEqual(document);
  });
});
