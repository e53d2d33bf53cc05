import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../schemas/refusal.ts';

/** A run as MLflow's REST API 2.0 takes it. */
export interface TrackedRun {
  readonly experiment: string;
  readonly name: string;
  /** A run of this key that is there already is not made again. */
  readonly key: string;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly state: 'done' | 'failed';
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly metrics: ReadonlyArray<{ readonly name: string; readonly step: number; readonly value: number }>;
  readonly tags: Readonly<Record<string, string>>;
  readonly note: string;
}

export class MlflowError extends MillraceError {
  readonly code = 'mlflow';
  readonly retriable: boolean;

  constructor(message: string, retriable: boolean, options?: { cause?: unknown }) {
    super(message, options);
    this.retriable = retriable;
  }
}

export interface Mlflow {
  /** Tells a finished run, whole. Tries again where waiting may help. Throws MlflowError. */
  log(run: TrackedRun): Promise<void>;
}

export interface MlflowOptions {
  readonly url: string;
  readonly token?: string;
  /** Of one request, ms. */
  readonly timeoutMs?: number;
  /** Before the second try; doubles. */
  readonly pauseMs?: number;
}

const TRIES = 4;
/** A call of `runs/log-batch` takes 1,000 entries, of which 100 parameters and 100 tags. */
const METRICS_A_CALL = 800;
const PARAMETERS_A_CALL = 100;
const TAGS_A_CALL = 100;
const LONGEST_VALUE = 6_000;
const LONGEST_NAME = 250;

export function createMlflow(options: MlflowOptions): Mlflow {
  const { token, timeoutMs = 10_000, pauseMs = 500 } = options;
  const url = URL.parse(options.url);
  // `fetch` refuses an address with user and password, and repeats both in its error.
  const base = (url === null ? options.url : `${url.origin}${url.pathname}`).replace(/\/+$/, '');
  const where = hostOf(base);
  const basic =
    url === null || url.username === ''
      ? {}
      : {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`,
        };
  const experiments = new Map<string, string>();

  async function once<T>(method: 'GET' | 'POST', path: string, body: object): Promise<T> {
    const query = method === 'GET' ? `?${new URLSearchParams(body as Record<string, string>)}` : '';
    let answer: Response;
    try {
      answer = await fetch(`${base}/api/2.0/mlflow/${path}${query}`, {
        method,
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? basic : { authorization: `Bearer ${token}` }),
        },
        ...(method === 'POST' ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new MlflowError(`MLflow at ${where} cannot be reached (${reasonOf(cause)}).`, true, { cause });
    }
    const text = await answer.text().catch(() => '');
    if (answer.ok) return (text === '' ? {} : JSON.parse(text)) as T;
    const { error_code: code = '', message = text.slice(0, 200) } = errorOf(text);
    throw new MlflowError(
      `MLflow at ${where} answered ${answer.status} ${code} to ${path}: ${message}`.trimEnd(),
      answer.status >= 500 || answer.status === 429,
      { cause: code },
    );
  }

  async function call<T>(method: 'GET' | 'POST', path: string, body: object): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await once<T>(method, path, body);
      } catch (error) {
        if (!(error instanceof MlflowError) || !error.retriable || attempt === TRIES) throw error;
        await sleep(pauseMs * 2 ** (attempt - 1));
      }
    }
  }

  const isCode = (error: unknown, code: string) => error instanceof MlflowError && error.cause === code;

  async function experimentOf(name: string): Promise<string> {
    const known = experiments.get(name);
    if (known !== undefined) return known;
    const find = async () => {
      const found = await call<{ experiment: { experiment_id: string } }>('GET', 'experiments/get-by-name', {
        experiment_name: name,
      });
      return found.experiment.experiment_id;
    };
    const id = await find().catch(async (error: unknown) => {
      if (!isCode(error, 'RESOURCE_DOES_NOT_EXIST')) throw error;
      try {
        const made = await call<{ experiment_id: string }>('POST', 'experiments/create', { name });
        return made.experiment_id;
      } catch (raced) {
        if (!isCode(raced, 'RESOURCE_ALREADY_EXISTS')) throw raced;
        return find();
      }
    });
    experiments.set(name, id);
    return id;
  }

  return {
    async log(run) {
      const experiment = await experimentOf(run.experiment);
      const { runs = [] } = await call<{ runs?: Array<{ info: { run_id: string; status: string } }> }>(
        'POST',
        'runs/search',
        {
          experiment_ids: [experiment],
          filter: `tags.\`millrace.key\` = '${run.key.replaceAll("'", '')}'`,
          max_results: 1,
        },
      );
      const before = runs[0]?.info;
      if (before !== undefined && before.status !== 'RUNNING') return;
      const id =
        before?.run_id ??
        (
          await call<{ run: { info: { run_id: string } } }>('POST', 'runs/create', {
            experiment_id: experiment,
            run_name: run.name,
            start_time: run.startedAt,
            tags: [{ key: 'millrace.key', value: run.key }],
          })
        ).run.info.run_id;
      const parameters = Object.entries(run.parameters).map(([key, value]) => ({
        key: nameOf(key),
        value: cut(typeof value === 'string' ? value : JSON.stringify(value)),
      }));
      const metrics = run.metrics.map(({ name, step, value }) => ({
        key: nameOf(name),
        value,
        step,
        timestamp: run.finishedAt,
      }));
      const tags = [
        ...Object.entries(run.tags).map(([key, value]) => ({ key: nameOf(key), value: cut(value) })),
        { key: 'mlflow.note.content', value: cut(`\`\`\`json\n${run.note}\n\`\`\``) },
      ];
      const batches = Math.max(
        Math.ceil(metrics.length / METRICS_A_CALL),
        Math.ceil(parameters.length / PARAMETERS_A_CALL),
        Math.ceil(tags.length / TAGS_A_CALL),
      );
      for (let i = 0; i < batches; i += 1)
        await call('POST', 'runs/log-batch', {
          run_id: id,
          metrics: metrics.slice(i * METRICS_A_CALL, (i + 1) * METRICS_A_CALL),
          params: parameters.slice(i * PARAMETERS_A_CALL, (i + 1) * PARAMETERS_A_CALL),
          tags: tags.slice(i * TAGS_A_CALL, (i + 1) * TAGS_A_CALL),
        });
      await call('POST', 'runs/update', {
        run_id: id,
        status: run.state === 'done' ? 'FINISHED' : 'FAILED',
        end_time: run.finishedAt,
      });
    },
  };
}

/** Letters, digits, _ - . / and spaces are allowed in names; all else becomes _. */
const nameOf = (name: string) => name.replace(/[^A-Za-z0-9_\-./ ]/g, '_').slice(0, LONGEST_NAME);
const cut = (text: string) => text.slice(0, LONGEST_VALUE);

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch (cause) {
    throw new MlflowError('The address of MLflow is no URL; write http://host:5000.', false, { cause });
  }
}

function errorOf(text: string): { error_code?: string; message?: string } {
  try {
    return JSON.parse(text) as { error_code?: string; message?: string };
  } catch {
    return {};
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
