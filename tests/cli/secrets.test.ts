import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../architecture/sources.ts';

/*
 * A secret in every place of connections.yaml where one can stand, servers that repeat whatever they are told, and all that
 * the command line says of it: output, errors with their stacks, logs, /health and /metrics.
 */

const KEY_LINE = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj';
/** What no text may hold, by where it stands. */
const SECRETS = {
  saslPassword: 'sasl-Pa55 "word\\',
  tlsKey: KEY_LINE,
  redisPassword: 'redisPa55/word@1',
  queuePassword: 'queuePa55word',
  registryKey: 'REGKEY12AB',
  registrySecret: 'reg+s3cret=',
  clickhousePassword: 'click:Pa55word',
  webhookToken: 'x9Zk3Lq0mVb7Rt5Yw1',
  webhookParameter: 'paramT0ken',
  hmac: 'hmac-s3cret',
  chatToken: 'Qw3rTy7uIoP9aSdF',
  alertmanagerPassword: 'alertPa55word',
  mlflowPassword: 'mlflowPa55word',
  mlflowToken: 'mlflow-t0ken-1',
} as const;

const CONNECTIONS = `kafka:
  brokers: \${env:T_BROKERS}
  tls: { key: "\${file:client.key}", cert: "\${env:T_CERT:-}" }
  sasl: { mechanism: plain, username: someone, password: "\${env:T_SASL}" }
redis: { url: "\${env:T_REDIS}" }
queue: { url: "\${env:T_QUEUE}" }
registry: { url: "\${env:T_REGISTRY}" }
clickhouse: { url: "\${env:T_CLICKHOUSE}", username: someone, password: "\${env:T_CLICKHOUSE_PASSWORD}" }
receivers:
  webhook: { webhook: "\${env:T_WEBHOOK}", secret: "\${env:T_HMAC}" }
  team: { chat: "\${env:T_CHAT}" }
  alertmanager: { alertmanager: "\${env:T_ALERTMANAGER}" }
mlflow: { url: "\${env:T_MLFLOW}", token: "\${env:T_MLFLOW_TOKEN}" }
`;

const directory = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
const servers: Server[] = [];
let variables: Record<string, string>;

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  // Each refuses, and repeats all that it heard.
  const http = await listening(
    createHttpServer((request, response) => {
      const basic = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const heard = `${Buffer.from(basic, 'base64')} ${JSON.stringify(request.headers)} ${request.url}`;
      request.resume();
      response.writeHead(request.url?.startsWith('/busy') ? 503 : 400).end(`I was told ${heard}`);
    }),
  );
  const tcp = await listening(
    createServer((socket) => {
      socket.on('data', (bytes) =>
        socket.end(`-ERR I was told ${bytes.toString().replace(/\s+/g, ' ')}\r\n`),
      );
      socket.on('error', () => {});
    }),
  );
  const s = SECRETS;
  const encoded = encodeURIComponent;
  cpSync(join(root, 'docs/examples/payments'), join(directory, 'project'), { recursive: true });
  writeFileSync(join(directory, 'project/connections.yaml'), CONNECTIONS);
  writeFileSync(
    join(directory, 'project/client.key'),
    `-----BEGIN PRIVATE KEY-----\n${KEY_LINE}\n${KEY_LINE}\n-----END PRIVATE KEY-----\n`,
  );
  variables = {
    T_BROKERS: `127.0.0.1:${tcp}`,
    T_SASL: s.saslPassword,
    T_REDIS: `redis://app:${encoded(s.redisPassword)}@127.0.0.1:${tcp}`,
    T_QUEUE: `redis://:${s.queuePassword}@127.0.0.1:${tcp}/1`,
    T_REGISTRY: `http://${s.registryKey}:${encoded(s.registrySecret)}@127.0.0.1:${http}/busy`,
    T_CLICKHOUSE: `http://127.0.0.1:${http}`,
    T_CLICKHOUSE_PASSWORD: s.clickhousePassword,
    T_WEBHOOK: `https://hooks.example.com/services/T0/B0/${s.webhookToken}?token=${s.webhookParameter}`,
    T_HMAC: s.hmac,
    T_CHAT: `https://chat.example.com/api/${s.chatToken}`,
    T_ALERTMANAGER: `http://am:${s.alertmanagerPassword}@127.0.0.1:${http}`,
    T_MLFLOW: `http://ml:${s.mlflowPassword}@127.0.0.1:${http}`,
    T_MLFLOW_TOKEN: s.mlflowToken,
  };
});

afterAll(() => {
  for (const server of servers) server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Everything that a command said, and where `while` looked on. */
async function said(
  parameters: readonly string[],
  changed: Readonly<Record<string, string>> = {},
  meanwhile?: (told: () => string) => Promise<string>,
): Promise<string> {
  const child = spawn(join(root, 'millrace'), [...parameters, '--project', join(directory, 'project')], {
    env: {
      ...process.env,
      ...variables,
      MILLRACE_DATA: directory,
      MILLRACE_DEBUG: '1',
      NO_COLOR: '1',
      ...changed,
    },
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const seen = await meanwhile?.(() => text).catch((error: unknown) => String(error));
  if (meanwhile !== undefined) child.kill('SIGTERM');
  await ended;
  return `${text}\n${seen ?? ''}`;
}

function forms(secret: string): string[] {
  return [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  ];
}

function expectNoSecret(text: string): void {
  for (const [place, secret] of Object.entries(SECRETS))
    for (const form of forms(secret)) {
      const at = text.indexOf(form);
      expect(at < 0 ? '' : `${place}: …${text.slice(Math.max(0, at - 200), at + 60)}…`).toBe('');
    }
}

describe.concurrent('no secret is said', () => {
  for (const command of [
    'check',
    'check --json',
    'apply --dry-run',
    'models --json',
    'dead-letters ls',
    'dead-letters ls --json',
    'features get card=c1',
    'pipelines',
  ])
    it(`by ${command}`, async () => {
      const text = await said(command.split(' '));
      expect(text).not.toBe('\n');
      expectNoSecret(text);
    });

  for (const [what, changed] of Object.entries({
    'an address that is none': { T_REDIS: `redis//x:${SECRETS.redisPassword}@h`, T_CLICKHOUSE: 'nonsense' },
    'a registry in a wrong form': { T_REGISTRY: `http//${SECRETS.registryKey}:${SECRETS.registrySecret}@h` },
    'a webhook that is none': { T_WEBHOOK: `ftp:/hooks/${SECRETS.webhookToken}` },
  }))
    it(`of ${what}`, async () => {
      expectNoSecret(await said(['features', 'get', 'card=c1'], changed));
      expectNoSecret(await said(['models'], changed));
    });

  it('by streams that run: log, /health and /metrics', async () => {
    const log = join(directory, 'logs/run.log');
    const port = String(20_000 + Math.floor(Math.random() * 20_000));
    const text = await said(['run', '--metrics-port', port, '--log', log], {}, async () => {
      const until = performance.now() + 40_000;
      const told = () =>
        readdirSync(directory).includes('logs') && readFileSync(log, 'utf8').includes('"failure"');
      while (performance.now() < until && !told()) await new Promise((done) => setTimeout(done, 200));
      const asked = await Promise.all(
        ['/health', '/metrics'].map(async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()),
      );
      return asked.join('\n');
    });
    const logged = readFileSync(log, 'utf8');
    expect(logged).toContain('"event":"failure"');
    expect(text).toContain('millrace_');
    expectNoSecret(`${text}\n${logged}`);
  });
});
