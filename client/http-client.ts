import { ApiError } from './api-error.ts';
import { createAsk, type HttpClientOptions } from './ask.ts';
import { followOverHttp } from './http-follow.ts';
import type {
  Answer,
  AskingClient,
  FeatureOptions,
  FeatureRow,
  Followed,
  FollowOptions,
  ModelName,
  PredictOptions,
  ProjectTypes,
  RefusedRow,
  SourceName,
  TypedHandler,
  ViewName,
} from './typed.ts';

/** Entities of one request; the server takes no more. */
const MAX_ENTITIES = 1_000;
/** Letters and events of one request: in UTF-8 less than the 16 MiB that the server takes. */
const MAX_LETTERS = 4 * 1024 * 1024;
const MAX_ROWS = 50_000;

/** The typed client over the HTTP API. */
export function createHttpClient<T extends ProjectTypes>(options: HttpClientOptions): AskingClient<T> {
  const ask = createAsk(options);
  const open = new Set<Followed>();
  const post = async (path: string, body: unknown) =>
    (await ask(path, { body: JSON.stringify(body), type: 'application/json' })).json() as Promise<unknown>;

  async function featuresOf<V extends ViewName<T>>(
    view: V,
    entities: ReadonlyArray<T['views'][V]['entity']>,
    { at, zone }: FeatureOptions = {},
  ) {
    const rows: Array<FeatureRow<T, V> | RefusedRow> = [];
    for (let from = 0; from < entities.length; from += MAX_ENTITIES) {
      const part = entities.slice(from, from + MAX_ENTITIES);
      const answer = await post(`/v1/features/${encodeURIComponent(view)}`, { entities: part, at, zone });
      rows.push(...rowsOf<T, V>(answer as ManyAnswer));
    }
    return rows;
  }

  return {
    async send<S extends SourceName<T>>(source: S, events: T['events'][S] | ReadonlyArray<T['events'][S]>) {
      const path = `/v1/events/${encodeURIComponent(source)}`;
      const rows: readonly unknown[] = Array.isArray(events) ? events : [events];
      if (rows.length === 1) await post(path, rows[0]);
      else
        for (const body of partsOf(rows))
          await answerOfLines(await ask(path, { body, type: 'application/x-ndjson' }));
    },
    featuresOf,
    async features(view, entity, at) {
      const [row] = await featuresOf(view, [entity], at);
      if (row?.status === 'read') return row;
      const code = row?.reason ?? 'no_frontier';
      throw new ApiError(`The features of ${row?.entity} in view ${view} cannot be told exactly: ${code}.`, {
        code,
        status: 409,
        retriable: code !== 'behind',
      });
    },
    async predict<M extends ModelName<T>>(
      model: M,
      request: T['models'][M]['request'],
      { deadlineMs, onRefusal, value, vector }: PredictOptions = {},
    ) {
      const body = { request, deadline_ms: deadlineMs, on_refusal: onRefusal, value, vector };
      return (await post(`/v1/models/${encodeURIComponent(model)}/predict`, body)) as Answer<T, M>;
    },
    async subscribe<M extends ModelName<T>>(
      model: M,
      handler: TypedHandler<T, M>,
      follow: FollowOptions = {},
    ) {
      const followed = await followOverHttp<T, M>(ask, model, handler, follow);
      open.add(followed);
      void followed.done.catch(() => {}).then(() => open.delete(followed));
      return followed;
    },
    async close() {
      await Promise.all([...open].map((one) => one.close()));
    },
  };
}

/** Lines of JSON, in parts that one request takes. */
function* partsOf(rows: readonly unknown[]): Generator<string> {
  let lines: string[] = [];
  let letters = 0;
  for (const row of rows) {
    const line = JSON.stringify(row);
    if (lines.length > 0 && (letters + line.length > MAX_LETTERS || lines.length === MAX_ROWS)) {
      yield lines.join('\n');
      lines = [];
      letters = 0;
    }
    lines.push(line);
    letters += line.length + 1;
  }
  if (lines.length > 0) yield lines.join('\n');
}

interface LinesAnswer {
  readonly accepted: number;
  readonly refused: number;
  readonly rows: ReadonlyArray<{
    readonly row: number;
    readonly code: string | null;
    readonly detail: string | null;
  }>;
}

/** Throws for lines that were refused beside others that were stored. */
async function answerOfLines(answer: Response): Promise<void> {
  const problem = (await answer.json()) as LinesAnswer;
  if (problem.refused === 0) return;
  const refused = problem.rows.filter(({ code }) => code !== null);
  const shown = refused.slice(0, 3).map(({ row, detail }) => `Event ${row}: ${detail}`);
  throw new ApiError(
    `${problem.refused} of ${problem.accepted + problem.refused} events were refused, the others are stored. ${shown.join(' ')}`,
    { code: refused[0]?.code ?? 'refused', status: 422, problem },
  );
}

interface ManyAnswer {
  readonly names: readonly string[];
  readonly answers: ReadonlyArray<
    | RefusedRow
    | (Omit<FeatureRow<ProjectTypes, string>, 'features'> & { readonly values: ReadonlyArray<number | null> })
  >;
}

const rowsOf = <T extends ProjectTypes, V extends ViewName<T>>({ names, answers }: ManyAnswer) =>
  answers.map((answer): FeatureRow<T, V> | RefusedRow => {
    if (answer.status === 'refused') return answer;
    const { values, ...rest } = answer;
    const features = Object.fromEntries(names.map((name, i) => [name, values[i] ?? null]));
    return { ...rest, features: features as unknown as T['views'][V]['features'] };
  });
