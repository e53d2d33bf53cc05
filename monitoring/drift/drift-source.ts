import {
  type Binnings,
  type DriftSource,
  learnBinnings,
  predictionSource,
  SCORE,
  summariseWindows,
} from '../../infrastructure/clickhouse/drift-sql.ts';
import { answersOf, quoteName, quoteText } from '../../infrastructure/clickhouse/tables.ts';
import type { WindowSummary } from '../../models/drift/types.ts';
import { tables } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { floorTo } from '../../schemas/time.ts';
import type { WindowDeps } from '../window.ts';

/** Event time, epoch ms: from <= time < to. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** New words that are named. */
const NEW_WORDS = 5;

/** Fields of the request that are compared as words: what makes the keys of reads, and zones. */
export function wordFields({ model, project }: Pick<WindowDeps, 'model' | 'project'>): readonly string[] {
  const source = project.sources.find(({ name }) => name === model.request.source);
  const text = new Set(source?.fields.filter(({ type }) => type === 'string').map(({ name }) => name));
  const named = model.reads.flatMap(({ key, zone }) => (zone === null ? key : [...key, zone]));
  const features = new Set(model.features.map(({ name }) => name));
  return [...new Set(named)].filter((name) => text.has(name) && !features.has(name));
}

const TIMES = `request_time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
  AND request_time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')`;

/** Where the columns of a version's windows stand. */
function sourcesOf({ project, model }: WindowDeps, version: number) {
  const { prefix } = project;
  const { name, layoutHash } = model;
  const features = model.features.map((feature) => feature.name);
  const scores = (table: string) =>
    `SELECT request_time AS at, [ifNull(score, nan)] AS numbers FROM ${table}
     WHERE ${TIMES} AND status = 'scored' AND model_version = ${Math.trunc(version)}`;
  const words = wordFields({ project, model });
  const predictions = predictionSource({ prefix, model: name, layoutHash, features, modelVersion: null });
  return {
    /** All versions share features; of the scores only the version's own are counted. */
    features: {
      ...predictions,
      select: predictions.select.replace('arrayPushBack(vector, ifNull(score, nan))', 'vector'),
      numbers: features,
    } satisfies DriftSource,
    scores: {
      select: `${scores(answersOf(prefix, name))} UNION ALL ${scores(`${quoteName(tables.shadow(prefix, name))} FINAL`)}`,
      numbers: [SCORE],
      words: [],
    } satisfies DriftSource,
    references: {
      select: `SELECT request_time AS at, arrayPushBack(vector, score) AS numbers
        FROM ${quoteName(tables.references(prefix, name))} FINAL
        WHERE ${TIMES} AND version = ${Math.trunc(version)} AND layout = ${quoteText(layoutHash)}`,
      numbers: [...features, SCORE],
      words: [],
    } satisfies DriftSource,
    requests: {
      select: `SELECT time AS at, emptyArrayFloat64() AS numbers,
          [${words.map((field) => `ifNull(${quoteName(field)}, '')`).join(', ')}] AS words
        FROM ${quoteName(tables.events(prefix, model.request.source))} FINAL
        WHERE type = ${quoteText(model.request.eventType)} AND time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
          AND time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')`,
      numbers: [],
      words,
    } satisfies DriftSource,
  };
}

/**
 * Windows of a version, counted once: a window that is finished never changes. The cells are learnt once for each
 * version, from the rows it learnt from, so that counts of windows can be added.
 */
export class WindowBook {
  readonly #deps: WindowDeps;
  readonly #sources: ReturnType<typeof sourcesOf>;
  readonly #binnings: Binnings;
  readonly #windows = new Map<number, WindowSummary>();
  /** False where there was nothing to learn the cells from: another is to be opened when there is more. */
  readonly sound: boolean;

  private constructor(deps: WindowDeps, version: number, binnings: Binnings) {
    this.sound = Object.values(binnings.numbers).some(({ edges }) => edges.length > 0);
    this.#deps = deps;
    this.#sources = sourcesOf(deps, version);
    this.#binnings = binnings;
  }

  /** @param before where no reference was kept for the version: cells are learnt from what was predicted before. */
  static async open(deps: WindowDeps, version: number, before: number): Promise<WindowBook> {
    const sources = sourcesOf(deps, version);
    const { every, reference } = deps.model.monitoring;
    const { warehouse } = deps;
    const [kept] = await warehouse.query<{ rows: number; first: number; last: number }>(
      `SELECT count() AS rows, min(toUnixTimestamp64Milli(request_time)) AS first,
         max(toUnixTimestamp64Milli(request_time)) AS last
       FROM ${quoteName(tables.references(deps.project.prefix, deps.model.name))}
       WHERE version = {version:Int32} AND layout = {layout:String}`,
      { version, layout: deps.model.layoutHash },
    );
    const known = kept !== undefined && kept.rows >= deps.model.monitoring.drift.minCount;
    const range = known ? { from: kept.first, to: kept.last + 1 } : { from: before - reference, to: before };
    const learnt = known
      ? await learnBinnings(warehouse, sources.references, range)
      : await learnFrom(deps, sources, range);
    const words = await learnWords(deps, sources, [
      { from: floorTo(range.from, every), to: range.to },
      { from: before - reference, to: before },
    ]);
    return new WindowBook(deps, version, { numbers: learnt.numbers, words });
  }

  /** Windows of the range in order, those without rows included. Ends are multiples of the window's length. */
  async windows({ from, to }: Range): Promise<WindowSummary[]> {
    const { every } = this.#deps.model.monitoring;
    const starts = Array.from({ length: Math.round((to - from) / every) }, (_, i) => from + i * every);
    for (const { from: first, to: last } of missingRanges(starts, this.#windows, every))
      for (const window of await this.#count({ from: first, to: last }))
        this.#windows.set(window.from, window);
    for (const start of this.#windows.keys()) if (start < from) this.#windows.delete(start);
    return starts.flatMap((start) => this.#windows.get(start) ?? []);
  }

  /** The most frequent words of a field in a window that the reference did not have. */
  async newWords(field: string, { from, to }: Range): Promise<string[]> {
    const { warehouse, project, model } = this.#deps;
    const name = quoteName(field);
    const rows = await warehouse.query<{ word: string }>(
      `SELECT ifNull(${name}, '') AS word FROM ${quoteName(tables.events(project.prefix, model.request.source))} FINAL
       WHERE type = {type:String} AND time >= fromUnixTimestamp64Milli({from:Int64})
         AND time < fromUnixTimestamp64Milli({to:Int64}) AND word != '' AND NOT has({known:Array(String)}, word)
       GROUP BY word ORDER BY count() DESC, word LIMIT ${NEW_WORDS}`,
      { type: model.request.eventType, from, to, known: this.#binnings.words[field] ?? [] },
    );
    return rows.map(({ word }) => word);
  }

  /** A window without predictions takes the rows that the version learnt from, where there are some. */
  async #count(range: Range): Promise<WindowSummary[]> {
    const { warehouse, model } = this.#deps;
    const steps = { ...range, stepMs: model.monitoring.every };
    const { features, scores, references, requests } = this.#sources;
    const count = (source: DriftSource) => summariseWindows(warehouse, source, this.#binnings, steps);
    const asked = await count(features);
    const scored = await count(scores);
    const lacks = [...asked, ...scored].some(isEmpty);
    const learnt = lacks ? await count(references) : [];
    const words = requests.words.length === 0 ? [] : await count(requests);
    return asked.map((window, i) => {
      const kept = learnt[i]?.columns ?? {};
      const { [SCORE]: keptScore, ...keptFeatures } = kept;
      const score = isEmpty(scored[i]) ? keptScore : scored[i]?.columns[SCORE];
      return {
        from: window.from,
        to: window.to,
        columns: {
          ...(isEmpty(window) && Object.keys(keptFeatures).length > 0 ? keptFeatures : window.columns),
          ...(score === undefined ? (scored[i]?.columns ?? {}) : { [SCORE]: score }),
          ...words[i]?.columns,
        },
      };
    });
  }
}

const isEmpty = (window: WindowSummary | undefined) =>
  window === undefined || Object.values(window.columns).every(({ rows }) => rows === 0);

async function learnFrom(
  { warehouse }: WindowDeps,
  { features, scores }: ReturnType<typeof sourcesOf>,
  range: Range,
): Promise<Binnings> {
  const cells = await learnBinnings(warehouse, features, range);
  const score = await learnBinnings(warehouse, scores, range);
  return { numbers: { ...cells.numbers, ...score.numbers }, words: {} };
}

/** Categories of the first range that has any: events may be gone sooner than what was learnt from them. */
async function learnWords(
  { warehouse }: WindowDeps,
  { requests }: ReturnType<typeof sourcesOf>,
  ranges: readonly Range[],
): Promise<Binnings['words']> {
  if (requests.words.length === 0) return {};
  for (const range of ranges) {
    const { words } = await learnBinnings(warehouse, requests, range);
    if (Object.values(words).some((known) => known.length > 0)) return words;
  }
  return {};
}

/** Stretches of windows that are not known yet. */
function missingRanges(
  starts: readonly number[],
  known: ReadonlyMap<number, unknown>,
  every: number,
): Range[] {
  const ranges: { from: number; to: number }[] = [];
  for (const start of starts) {
    if (known.has(start)) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last.to === start) last.to = start + every;
    else ranges.push({ from: start, to: start + every });
  }
  return ranges;
}

/** How much of the model's importance hangs on a field of the request: that of all features read by it. */
export function importanceOfWords(
  model: Pick<Model, 'reads' | 'features'>,
  fields: readonly string[],
  importance: readonly number[],
): ReadonlyMap<string, number> {
  return new Map(
    fields.map((field) => {
      const reads = new Set(
        model.reads.flatMap(({ name, key, zone }) => (key.includes(field) || zone === field ? [name] : [])),
      );
      const share = model.features.reduce((sum, feature, i) => {
        const read = feature.kind === 'stored' ? model.reads[feature.read]?.name : undefined;
        return sum + (read !== undefined && reads.has(read) ? (importance[i] ?? 0) : 0);
      }, 0);
      return [field, share];
    }),
  );
}
