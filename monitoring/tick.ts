import type { ArtefactStore } from '../infrastructure/artefacts/port.ts';
import type { Warehouse } from '../infrastructure/clickhouse/port.ts';
import { answersOf } from '../infrastructure/clickhouse/tables.ts';
import { parseArtefact } from '../models/artefact.ts';
import { ESTIMATED_STATISTICS, type Measure } from '../schemas/monitoring.ts';
import type { Model, Project, Source } from '../schemas/project.ts';
import { asError, MillraceError } from '../schemas/refusal.ts';
import { reasonOf } from '../streams/runtime/failing.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';
import { lossPoints, measureDetectors, scorePoints } from './drift/detectors.ts';
import { measureDrift, measureLabelDrift, referenceFrom } from './drift/drift.ts';
import { WindowBook } from './drift/drift-source.ts';
import { measureData } from './inputs/data.ts';
import { FieldBook } from './inputs/fields.ts';
import { measureFreshness, measureLabelDelay } from './inputs/freshness.ts';
import { type MeasureQuery, measure, readMeasures } from './measures.ts';
import { earlierOf, judgeWindow, pastErrorsOf, waitOf } from './quality/quality.ts';
import { readScored, readSlices, type ScoredWindow, type SliceNames } from './window.ts';

export interface TickDeps {
  readonly project: Project;
  readonly warehouse: Warehouse;
  /** Where a version's importances stand. */
  readonly artefacts: Pick<ArtefactStore, 'get'>;
  readonly telemetry: Pick<Telemetry, 'step' | 'failure' | 'note'>;
  /** Hears of what could not be measured, and why; the rest of the tick is measured without it. */
  readonly onSkipped?: (what: string, reason: string) => void;
}

/** What is remembered from tick to tick to be quick; without it a tick gives the same. */
export interface TickMemory {
  readonly books: Map<string, WindowBook>;
  readonly fields: Map<string, FieldBook>;
  readonly importance: Map<string, readonly number[]>;
}

export const createTickMemory = (): TickMemory => ({
  books: new Map(),
  fields: new Map(),
  importance: new Map(),
});

/** Windows of estimates whose errors the intervals of the next learn from. */
const PAST_WINDOWS = 60;
/** Windows back in which a detector's last state is looked for. */
const STATE_WINDOWS = 10;

const NOTHING = { settled: false, complete: false, estimates: new Map() } as const;

/**
 * Everything that is known at a tick of event time, of the windows that end at it and of those before that wait for
 * labels. A function of the archive and of the measures before it: measured again it says the same.
 */
export async function measureTick(
  deps: TickDeps,
  tick: number,
  memory: TickMemory = createTickMemory(),
): Promise<readonly Measure[]> {
  const { project, telemetry } = deps;
  const due = project.models.filter(({ monitoring }) => tick % monitoring.every === 0);
  const measures: Measure[] = [];
  for (const model of due) {
    const started = performance.now();
    const what = `the model ${model.name}`;
    measures.push(...(await apart(deps, tick, what, () => measureModel(deps, model, tick, memory))));
    telemetry.step(`monitoring ${model.name}`, 'measure', performance.now() - started, measures.length);
  }
  for (const source of project.sources) {
    const every = Math.min(
      ...due.filter((model) => uses(model, source)).map((model) => model.monitoring.every),
    );
    if (!Number.isFinite(every)) continue;
    const book = memory.fields.get(`${source.name} ${every}`) ?? new FieldBook();
    memory.fields.set(`${source.name} ${every}`, book);
    const window = { from: tick - every, to: tick, tick };
    measures.push(
      ...(await apart(deps, tick, `the fields of ${source.name}`, () =>
        measureData({ ...deps, source }, book, window),
      )),
    );
  }
  return measures;
}

/** Of the warehouse itself, not of what it was asked: nothing of the tick may be skipped for them. */
const NOT_THE_TICK = ['missing_table', 'not_allowed'];

/**
 * A part of a tick. Where it fails in a way that a repeat cannot change (a bug, a statement that ClickHouse refuses), it is
 * skipped and told, and the other parts stand: a tick that fails as a whole, again and again, would measure nothing ever more.
 */
async function apart(
  { telemetry, onSkipped = () => {} }: TickDeps,
  tick: number,
  what: string,
  work: () => Promise<readonly Measure[]>,
): Promise<readonly Measure[]> {
  try {
    return await work();
  } catch (error) {
    const known = asError(error);
    if (known instanceof MillraceError && (known.retriable || NOT_THE_TICK.includes(known.code))) throw error;
    const reason = reasonOf(known);
    telemetry.failure('monitoring', known);
    telemetry.note('monitoring', 'a part of a tick was skipped', {
      tick: new Date(tick).toISOString(),
      what,
      reason,
    });
    onSkipped(what, reason);
    return [];
  }
}

const uses = ({ request, label }: Model, { name }: Source) =>
  request.source === name || label.source === name;

async function measureModel(
  deps: TickDeps,
  model: Model,
  tick: number,
  memory: TickMemory,
): Promise<Measure[]> {
  const { project, warehouse } = deps;
  const { every } = model.monitoring;
  const from = tick - every;
  const waitFrom = Math.ceil((tick - waitOf(model)) / every) * every - every;
  const windowDeps = { project, model, warehouse };
  const past = { model: model.name, slice: '', before: tick };
  const read = (asked: MeasureQuery) => readMeasures(warehouse, project.prefix, { ...past, ...asked });
  const judged = await read({
    kinds: ['quality', 'estimate'],
    statistics: ['label_coverage', ...ESTIMATED_STATISTICS],
    endAfter: tick - PAST_WINDOWS * every,
    every: true,
  });
  const firedBefore = await read({ kinds: ['drift'], fired: true, endAfter: referenceFrom(model, waitFrom) });
  const pastDetectors = await read({ kinds: ['detector'], endAfter: waitFrom - STATE_WINDOWS * every });
  const earlier = earlierOf(judged.filter(({ from }) => from >= waitFrom));
  const pastErrors = pastErrorsOf(judged.filter(({ kind }) => kind === 'estimate'));
  const measures: Measure[] = [];

  const scored = await readScored(windowDeps, { from: Math.min(waitFrom, from), to: tick, asOf: tick });
  const open = scored.filter((window) => earlier.get(`${window.from} ${window.version}`)?.complete !== true);
  const settling: ScoredWindow[] = [];
  for (const start of new Set(open.map((window) => window.from))) {
    const slices = await readSlices(windowDeps, { from: start, to: start + every });
    if (start === from) tellOfRest(deps, model, slices);
    for (const window of open.filter((one) => one.from === start)) {
      const before = earlier.get(`${window.from} ${window.version}`) ?? NOTHING;
      const found = judgeWindow(model, window, tick, before, slices, pastErrors);
      measures.push(...found.measures);
      if (found.settles) settling.push(window);
    }
  }
  for (const window of settling) {
    const found = measureDetectors(model, window, tick, 'loss', lossPoints(window), pastDetectors);
    pastDetectors.push(...found);
    measures.push(...found);
  }
  const current = scored.filter((window) => window.from === from);
  for (const window of current) {
    const points = await scorePoints(windowDeps, window);
    measures.push(...measureDetectors(model, window, tick, 'score', points, pastDetectors));
  }
  if (current.length === 0) measures.push(...nothingScored(model, from, tick));

  const part = (what: string, work: () => Promise<readonly Measure[]>) =>
    apart(deps, tick, `${what} of the model ${model.name}`, work);
  const window = { from, to: tick, tick };
  measures.push(...(await part('the freshness', () => measureFreshness(windowDeps, window))));
  measures.push(...(await part('the drift', () => driftMeasures(deps, model, tick, memory, firedBefore))));
  const newest = [...judged, ...firedBefore, ...measures];
  for (const [start, window] of settledWindows(settling)) {
    const labels = { from: start, to: start + every, tick };
    measures.push(...(await part('the delay of labels', () => measureLabelDelay(windowDeps, labels))));
    const positives = window.labels.reduce((sum, label) => sum + (label === 1 ? 1 : 0), 0);
    const rows = window.labels.reduce((sum, label) => sum + (label >= 0 ? 1 : 0), 0);
    const at = { from: start, to: start + every, tick, version: window.version };
    const earlierLabels = labelPast(newest, model, start);
    measures.push(
      ...(await part('the drift of labels', () =>
        measureLabelDrift(windowDeps, at, { rows, positives }, earlierLabels),
      )),
    );
  }
  return measures;
}

/** A slicing with more values than it may have is told, not cut in silence. */
function tellOfRest({ telemetry }: TickDeps, { name }: Model, slices: SliceNames): void {
  for (const { slice, values } of slices)
    if (values > slice.atMost)
      telemetry.note(`monitoring ${name}`, 'a slice has more values than at_most', {
        slice: slice.name,
        values,
        kept: slice.atMost,
        rest: `${slice.name}=other`,
      });
}

/** Of each window the version with the most rows. */
function settledWindows(settling: readonly ScoredWindow[]): ReadonlyMap<number, ScoredWindow> {
  const chosen = new Map<number, ScoredWindow>();
  for (const window of settling)
    if (window.ids.length > (chosen.get(window.from)?.ids.length ?? 0)) chosen.set(window.from, window);
  return chosen;
}

/** Base rates and alarms of the label in the reference of a window. */
function labelPast(known: readonly Measure[], model: Model, start: number): Measure[] {
  const since = referenceFrom(model, start);
  return known.filter(({ from }) => from >= since && from < start);
}

/** A window without predictions has measures too, so that a rule can see that it is empty. */
function nothingScored(model: Model, from: number, tick: number): Measure[] {
  return [
    measure({
      kind: 'quality',
      statistic: 'label_coverage',
      model: model.name,
      from,
      to: tick,
      tick,
      detail: { why: 'Nothing was scored in the window.' },
    }),
  ];
}

/** Of the version that answered last in the window. */
async function driftMeasures(
  deps: TickDeps,
  model: Model,
  tick: number,
  memory: TickMemory,
  firedBefore: readonly Measure[],
): Promise<Measure[]> {
  const { project, warehouse } = deps;
  const { every } = model.monitoring;
  const from = tick - every;
  const [last] = await warehouse.query<{ rows: number; version: number; artefact: string }>(
    `SELECT count() AS rows, argMax(model_version, (request_time, source_partition, source_offset)) AS version,
       argMax(artefact, (request_time, source_partition, source_offset)) AS artefact
     FROM ${answersOf(project.prefix, model.name)}
     WHERE status = 'scored' AND request_time >= fromUnixTimestamp64Milli({from:Int64})
       AND request_time < fromUnixTimestamp64Milli({to:Int64})`,
    { from, to: tick },
  );
  if (last === undefined || last.rows === 0) return [];
  const { version, artefact } = last;
  const key = `${model.name} ${version}`;
  const windowDeps = { project, model, warehouse };
  let book = memory.books.get(key);
  if (book?.sound !== true) {
    book = await WindowBook.open(windowDeps, version, from);
    // A version that was replaced does not come back soon.
    for (const other of memory.books.keys())
      if (other.startsWith(`${model.name} `)) memory.books.delete(other);
    memory.books.set(key, book);
  }
  const importance = await importanceOf(deps, model, artefact, memory);
  const since = referenceFrom(model, from);
  const earlier = firedBefore.filter((one) => one.from >= since && one.from < from);
  return measureDrift(windowDeps, book, { from, to: tick, tick, version }, importance, earlier);
}

/** Equal shares where the artefact cannot be had. */
async function importanceOf(
  { artefacts, telemetry }: TickDeps,
  model: Model,
  address: string,
  { importance }: TickMemory,
): Promise<readonly number[]> {
  const known = importance.get(address);
  if (known !== undefined) return known;
  const width = model.features.length;
  try {
    const { manifest } = parseArtefact(await artefacts.get(address), address);
    const shares =
      manifest.layoutHash === model.layoutHash
        ? manifest.importance
        : new Array<number>(width).fill(1 / width);
    importance.set(address, shares);
    return shares;
  } catch (error) {
    telemetry.failure(`monitoring ${model.name}`, asError(error));
    return new Array<number>(width).fill(1 / width);
  }
}
