import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Held {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly status: { readonly state: string };
}

/** A real Alertmanager on a free port, which tells a webhook of what it holds at once. */
export class Alertmanager {
  readonly #found: { readonly program: string; readonly directory: string };
  readonly #webhook: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'millrace-alertmanager-'));
  #child: ChildProcess | null = null;
  port = 0;

  constructor(found: { readonly program: string; readonly directory: string }, webhook: string) {
    this.#found = found;
    this.#webhook = webhook;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const config = join(this.#directory, 'config.yml');
    writeFileSync(
      config,
      `route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: '${this.#webhook}', send_resolved: true}]}]
`,
    );
    this.port ||= await freePort();
    const child = spawn(
      this.#found.program,
      [
        `--config.file=${config}`,
        `--storage.path=${join(this.#directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${this.port}`,
        '--cluster.listen-address=',
      ],
      { cwd: this.#found.directory, stdio: 'ignore' },
    );
    this.#child = child;
    for (const deadline = Date.now() + 20_000; ; ) {
      if (
        await fetch(`${this.url}/-/ready`).then(
          ({ ok }) => ok,
          () => false,
        )
      )
        return;
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('Alertmanager did not start');
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async alerts(): Promise<Held[]> {
    const answer = await fetch(`${this.url}/api/v2/alerts`);
    return (await answer.json()) as Held[];
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    child.kill('SIGKILL');
    await gone;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
