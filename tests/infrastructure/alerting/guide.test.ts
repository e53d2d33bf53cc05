import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createSender } from '../../../infrastructure/alerting/sender.ts';
import { deliveriesOf } from '../../../models/alerting/deliveries.ts';
import { root } from '../../architecture/sources.ts';
import { FILES, load } from '../../config/project.ts';
import { alert } from './alert.ts';
import { Receiver } from './receiver.ts';

const guide = readFileSync(join(root, 'docs/user_guides/alerts.md'), 'utf8');
const blocks = (language: string) =>
  [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\\n\`\`\``, 'g'))].map(
    ([, text = '']) => text,
  );

const directory = mkdtempSync(join(tmpdir(), 'millrace-guide-'));
let child: ChildProcess | null = null;
afterAll(() => {
  child?.kill();
  rmSync(directory, { recursive: true, force: true });
});

it("the guide's receiver takes what is signed, once, and nothing else", async () => {
  const [source = ''] = blocks('js');
  writeFileSync(join(directory, 'receiver.mjs'), source);
  // A port that was free a moment ago.
  const probe = await new Receiver().start();
  const { port } = probe;
  await probe.stop();
  const own = spawn(process.execPath, ['receiver.mjs'], {
    cwd: directory,
    env: { ...process.env, SECRET: 's3cret', PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = own;
  let printed = '';
  own.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const sender = (secret: string) =>
    createSender({
      from: { project: 'flights', prefix: 'flights' },
      connections: {
        receivers: { ops: { kind: 'webhook', url: `http://127.0.0.1:${port}/alerts`, secret } },
        allowPrivate: [`127.0.0.1:${port}`],
      },
      now: Date.now,
    });
  const [delivery] = deliveriesOf(
    { routes: [{ severities: ['page'], rules: [], receivers: ['ops'] }], groupBy: [] },
    'flights',
    [alert(1)],
  );
  if (delivery === undefined) throw new Error('a delivery');
  const never = new AbortController().signal;
  const until = Date.now() + 10_000;
  let sent = await sender('s3cret').send(delivery, never);
  while (sent.kind === 'again' && Date.now() < until) {
    await new Promise((done) => setTimeout(done, 50));
    sent = await sender('s3cret').send(delivery, never);
  }
  expect(sent).toEqual({ kind: 'delivered' });
  expect(await sender('s3cret').send(delivery, never)).toEqual({ kind: 'delivered' });
  expect(await sender('guessed').send(delivery, never)).toEqual({
    kind: 'rejected',
    reason: 'It answered 401: bad signature',
  });
  expect(printed).toBe('firing worse It is worse.\n');
});

it("the guide's declarations make a project, and its JSON has the fields that are sent", () => {
  const [rules = '', connections = '', routes = ''] = blocks('yaml');
  const servers = 'kafka: {brokers: a:1}\nredis: {url: r}\nregistry: {url: r}\nclickhouse: {url: c}\n';
  const project = load(
    {
      ...FILES,
      'alerts.yaml': `${rules}\n${routes.replace('rules: [drifted]', 'rules: [model_worse]')}\n`,
      'connections.yaml': servers + connections,
    },
    { environment: { WEBHOOK_SECRET: 's' } },
  );
  expect(project.alerting.rules[0]).toMatchObject({ name: 'model_worse', forWindows: 2, severity: 'page' });
  expect(project.connections.receivers.oncall).toMatchObject({ kind: 'webhook', secret: 's' });
  const [json = ''] = blocks('json');
  const shown = parse(json) as { alerts: object[] };
  const { format, kind: _, ...rest } = alert(1);
  expect(format).toBe(1);
  expect(Object.keys(shown.alerts[0] ?? {}).sort()).toEqual([...Object.keys(rest), 'kind'].sort());
});
