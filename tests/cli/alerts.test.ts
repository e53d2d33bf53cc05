import { Command } from 'commander';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CommandContext, Runner } from '../../cli/command.ts';
import { registerAlerts } from '../../cli/commands/alerts.ts';
import { readEnvironment } from '../../cli/environment.ts';
import { table } from '../../cli/format.ts';
import type { Output } from '../../cli/output.ts';
import type { StackAddresses } from '../../infrastructure/local/stack.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import { tables } from '../../schemas/names.ts';
import { alert } from '../infrastructure/alerting/alert.ts';
import { Flights } from '../scenarios/flights.ts';
import { testStack } from '../stack.ts';

let stack: StackAddresses;
let flights: Flights;

/** Two alerts, one of which was resolved. */
const CHANGES = [
  alert(1, { id: 'aa11:1', fingerprint: 'aa11', state: 'pending', firedAt: null, rule: 'drifted' }),
  alert(1, { id: 'aa11:2', fingerprint: 'aa11', change: 2, rule: 'drifted', tick: Date.UTC(2001, 3, 2) }),
  alert(2, { id: 'ab22:1', fingerprint: 'ab22', rule: 'model_worse', subject: 'origin.late_1h' }),
  alert(2, {
    id: 'ab22:2',
    fingerprint: 'ab22',
    change: 2,
    rule: 'model_worse',
    state: 'resolved',
    tick: Date.UTC(2001, 3, 3),
    endedAt: Date.UTC(2001, 3, 2),
  }),
];

beforeAll(async () => {
  stack = await testStack();
  flights = new Flights(stack);
  await Promise.all([flights.createTopics(), flights.createTables()]);
  const { kafka } = flights.platform;
  const log = new AlertLog({
    kafka,
    codec: (await flights.platform.codecs()).alerts,
    prefix: flights.project.prefix,
  });
  await log.append(CHANGES);
  await log.close();
});
afterAll(() => flights?.remove());

/** Runs `millrace alerts …` in this process and answers what it printed; errors are thrown. */
async function alerts(parameters: readonly string[], isJson = false): Promise<string[]> {
  const lines: string[] = [];
  const same = (text: string) => text;
  const colours = { bold: same, dim: same, red: same, green: same, yellow: same, cyan: same };
  const output = {
    isJson,
    colours,
    interactive: false,
    line: (text = '') => void lines.push(text),
    table: (columns: Parameters<Output['table']>[0], rows: Parameters<Output['table']>[1]) =>
      void lines.push(...table(columns, rows)),
    json: (value: unknown) => void lines.push(JSON.stringify(value)),
    note: () => {},
    warn: () => {},
    error: () => {},
    progress: () => {
      throw new Error('no bar here');
    },
  } satisfies Output;
  const environment = readEnvironment();
  const context: CommandContext = {
    environment: {
      ...environment,
      variables: {
        ...environment.variables,
        USER: 'ada',
        KAFKA_BROKERS: stack.kafka.join(','),
        REDIS_URL: stack.redis,
        REGISTRY_URL: stack.registry,
        CLICKHOUSE_URL: stack.clickhouse,
      },
    },
    output,
    project: flights.project.directory,
    prefix: flights.project.prefix,
    signal: new AbortController().signal,
  };
  const run: Runner =
    (action) =>
    (...all) =>
      (action as (...parameters: unknown[]) => Promise<void>)(context, ...all.slice(0, -1));
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  registerAlerts(program, run);
  for (const group of program.commands)
    for (const leaf of group.commands) leaf.copyInheritedSettings(program);
  await program.parseAsync(['node', 'millrace', 'alerts', ...parameters]);
  return lines;
}

it('lists alerts as they stand, those that fire first', async () => {
  expect(await alerts(['ls'])).toEqual([
    'fingerprint  state     severity  rule         since                 changed               summary',
    'aa11         firing    page      drifted      2001-03-31T00:00:00Z  2001-04-02T00:00:00Z  It is worse.',
    'ab22         resolved  page      model_worse  2001-03-31T00:00:00Z  2001-04-03T00:00:00Z  It is worse.',
  ]);
  const of = async (...parameters: string[]) =>
    (JSON.parse((await alerts(['ls', ...parameters], true))[0] ?? '') as Array<{ id: string }>).map(
      ({ id }) => id,
    );
  expect(await of('--state', 'firing')).toEqual(['aa11:2']);
  expect(await of('--rule', 'model_worse')).toEqual(['ab22:2']);
  expect(await of('--since', '2001-04-03')).toEqual(['ab22:2']);
  expect(await alerts(['ls', '--rule', 'none'])).toEqual(['There is none.']);
});

it('shows every change of one, by the first letters of its fingerprint', async () => {
  const [title, , ...changes] = await alerts(['show', 'aa']);
  expect(title).toBe('drifted of late, origin=1  aa11');
  expect(changes.map((line) => line.trim().split(/\s+/).slice(0, 2).join(' '))).toEqual([
    '1 pending',
    '2 firing',
  ]);
  await expect(alerts(['show', 'a'])).rejects.toThrow("Several fingerprints begin with 'a': aa11, ab22.");
  await expect(alerts(['show', 'zz'])).rejects.toThrow("No alert has a fingerprint that begins with 'zz'");
});

it('follows them, a line each', async () => {
  expect(await alerts(['tail', '--from-start', '--limit', '4'])).toEqual([
    '2001-04-01T00:00:00Z  pending   page     drifted  It is worse.  aa11',
    '2001-04-02T00:00:00Z  firing    page     drifted  It is worse.  aa11',
    '2001-04-01T00:00:00Z  firing    page     model_worse  It is worse.  ab22',
    '2001-04-03T00:00:00Z  resolved  page     model_worse  It is worse.  ab22, held for 2 d',
  ]);
});

it('silences for a while and ends it', async () => {
  const [said = ''] = await alerts([
    'silence',
    '--rule',
    'drifted',
    '--subject',
    'x',
    '--for',
    '2h',
    '--reason',
    'known storm',
  ]);
  expect(said).toMatch(/^[0-9a-f]{8}: drifted on x is silenced until \d{4}-.*Z\.$/);
  const id = said.slice(0, 8);
  expect((await alerts(['silences'])).at(-1)).toMatch(
    new RegExp(`^${id}  drifted on x  (2 h 0 min|1 h 60 min|1 h 59 min|120 min .*)  ada  known storm$`),
  );
  expect(await alerts(['unsilence', id.slice(0, 4)])).toEqual([`${id}: drifted on x is told of again.`]);
  expect(await alerts(['silences'])).toEqual(['Nothing is silenced.']);
  await expect(alerts(['unsilence', id])).rejects.toThrow('No silence that holds begins with');
  await expect(alerts(['silence', '--for', '2h', '--reason', 'r'])).rejects.toThrow('Say what to silence');
  await expect(alerts(['silence', '--rule', 'drifte', '--for', '2h', '--reason', 'r'])).rejects.toThrow(
    "The project has no rule 'drifte'. Did you mean 'drifted'?",
  );
  await expect(alerts(['silence', '--rule', 'drifted', '--for', 'soon', '--reason', 'r'])).rejects.toThrow(
    'duration',
  );
});

it('says what became of telling', async () => {
  expect(await alerts(['deliveries'])).toEqual(['Nobody was told of anything.']);
  const row = (id: string, status: string, detail: string, second: number) => ({
    ...{ id, receiver: 'webhook', alerts: ['aa11:2'], status, tries: 1, detail },
    at: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
  });
  const { warehouse } = flights.platform;
  const table = tables.deliveries(flights.project.prefix);
  const rows = [row('d1', 'delivered', '', 1), row('d2', 'refused', 'It answered 404', 2)];
  await warehouse.insert(table, rows, { token: 'two' });
  expect(await alerts(['deliveries'])).toEqual([
    'at                    receiver  status     changes  tries  delivery  detail',
    '2026-01-01T00:00:02Z  webhook   refused          1      1  d2        It answered 404',
    '2026-01-01T00:00:01Z  webhook   delivered        1      1  d1',
  ]);
  expect(await alerts(['deliveries', '--status', 'delivered', '--limit', '1'])).toHaveLength(2);
  expect(await alerts(['deliveries', '--receiver', 'nobody'])).toEqual(['Nobody was told of anything.']);
});
