import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cached, run } from '../../../infrastructure/local/install.ts';
import { cacheDirectory } from '../../../infrastructure/local/places.ts';
import { freePort } from '../../../infrastructure/local/ports.ts';

/** The slimmest set that runs `mlflow server` with files as its store. */
const PACKAGES = ['mlflow-skinny==2.22.5', 'flask<4', 'gunicorn<28', 'numpy'];

/** Packages of Python for a real tracking server, fetched once; or why there are none. */
export async function installMlflow(): Promise<{ readonly packages: string } | { readonly reason: string }> {
  const version = await run('python3', ['--version']).catch(() => null);
  if (version === null || version.missing || version.code !== 0)
    return { reason: 'python3 is not on PATH, and MLflow is written in it' };
  let failure = '';
  const packages = await cached(cacheDirectory(), 'mlflow-2.22.5', async (directory) => {
    const installed = await run('python3', [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--no-warn-conflicts',
      '--target',
      directory,
      ...PACKAGES,
    ]);
    if (installed.code === 0) return;
    failure = installed.stderr.trim().split('\n').at(-1) ?? '';
    throw new Error(failure);
  }).catch(() => null);
  return packages === null ? { reason: `pip could not install MLflow: ${failure}` } : { packages };
}

/** A tracking server of one test, on a port of its own. */
export class MlflowServer {
  readonly url: string;
  readonly #packages: string;
  readonly #port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'millrace-mlflow-'));
  #child: ChildProcess | undefined;

  private constructor(packages: string, port: number) {
    this.#packages = packages;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async on(packages: string): Promise<MlflowServer> {
    return new MlflowServer(packages, await freePort([], new Set()));
  }

  async start(): Promise<void> {
    const child = spawn(
      'python3',
      [
        ...['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(this.#port), '--workers', '1'],
        ...['--backend-store-uri', join(this.#directory, 'store')],
        ...['--artifacts-destination', join(this.#directory, 'artifacts')],
      ],
      {
        cwd: this.#directory,
        // A group of its own: gunicorn's workers go with it.
        detached: true,
        stdio: 'ignore',
        env: { ...process.env, PYTHONPATH: this.#packages, HOME: this.#directory },
      },
    );
    this.#child = child;
    for (let tries = 0; tries < 600; tries += 1) {
      const answer = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(1_000) }).catch(
        () => null,
      );
      if (answer?.ok) return;
      if (child.exitCode !== null) throw new Error(`mlflow server ended with code ${child.exitCode}`);
      await sleep(100);
    }
    throw new Error('mlflow server did not answer within a minute');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    process.kill(-child.pid, 'SIGKILL');
    await gone;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async ask<T>(path: string, parameters: Record<string, string>): Promise<T> {
    const answer = await fetch(`${this.url}/api/2.0/mlflow/${path}?${new URLSearchParams(parameters)}`);
    return (await answer.json()) as T;
  }

  /** Runs of an experiment. */
  async runs(experiment: string): Promise<readonly LoggedRun[]> {
    const found = await this.ask<{ experiment?: { experiment_id: string } }>('experiments/get-by-name', {
      experiment_name: experiment,
    });
    if (found.experiment === undefined) return [];
    const answer = await fetch(`${this.url}/api/2.0/mlflow/runs/search`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ experiment_ids: [found.experiment.experiment_id] }),
    });
    return ((await answer.json()) as { runs?: LoggedRun[] }).runs ?? [];
  }
}

export interface LoggedRun {
  readonly info: {
    readonly run_id: string;
    readonly run_name: string;
    readonly status: string;
    readonly start_time: number;
    readonly end_time: number;
  };
  readonly data: {
    readonly metrics?: ReadonlyArray<{ readonly key: string; readonly value: number; readonly step: number }>;
    readonly params?: ReadonlyArray<{ readonly key: string; readonly value: string }>;
    readonly tags?: ReadonlyArray<{ readonly key: string; readonly value: string }>;
  };
}
