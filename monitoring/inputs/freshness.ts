import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { answersOf, quoteName } from '../../infrastructure/clickhouse/tables.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import type { Source } from '../../schemas/project.ts';
import { SECOND } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { selectLabelled } from '../../streams/archive/labels.ts';
import { measure } from '../measures.ts';
import type { WindowDeps } from '../window.ts';

interface Window {
  readonly from: number;
  readonly to: number;
  readonly tick: number;
}

/** Half of all are at or below the first, nearly all at or below the last. */
const LEVELS = [0.5, 0.99] as const;
const NAMES = ['p50', 'p99'] as const;

type Quantiles = { readonly rows: number; readonly at: readonly number[]; readonly most: number };

const QUANTILES = (value: string) =>
  `count() AS rows, quantilesExact(${LEVELS.join(', ')})(${value}) AS at, max(${value}) AS most`;

function quantileMeasures(
  shared: Pick<Measure, 'from' | 'to' | 'tick'> & Partial<Measure>,
  name: string,
  found: Quantiles | undefined,
  why: string,
  most: number | null = null,
): Measure[] {
  const { detail: _detail, ...rest } = shared;
  return NAMES.map((level, i) =>
    measure({
      ...rest,
      kind: 'freshness',
      statistic: `${name}_${level}`,
      value: found === undefined || found.rows === 0 ? null : (found.at[i] ?? null),
      rows: found?.rows ?? 0,
      threshold: most,
      fired: most !== null && (found?.at[i] ?? 0) > most,
      detail: found === undefined || found.rows === 0 ? { why } : { unit: 'ms', most: found.most },
    }),
  );
}

/**
 * What a read or a request may take without anybody being late, twice over: a feature is never younger than its
 * view's readDelay, nor older than one step of its resolution beyond that; a request in order comes within outOfOrderness.
 */
const usualAge = (view: Pick<View, 'readDelay' | 'resolution'>) => 2 * (view.readDelay + view.resolution);
const usualArrival = (source: Pick<Source, 'outOfOrderness'>) => 2 * source.outOfOrderness + 10 * SECOND;

/**
 * How old features were when they were read (request time less as-of), by view, and how long after their time
 * requests arrived. Both ms.
 */
export async function measureFreshness(deps: WindowDeps, window: Window): Promise<Measure[]> {
  const { project, model, warehouse } = deps;
  const table = answersOf(project.prefix, model.name);
  const within = `request_time >= fromUnixTimestamp64Milli({from:Int64})
    AND request_time < fromUnixTimestamp64Milli({to:Int64})`;
  const { from, to } = window;
  const shared = { ...window, model: model.name };
  const ages = await warehouse.query<Quantiles & { view: string }>(
    `SELECT read.view AS view, ${QUANTILES('read.age_ms')}
     FROM ${table} ARRAY JOIN reads AS read WHERE ${within} GROUP BY view ORDER BY view`,
    { from, to },
  );
  const [arrival] = await warehouse.query<Quantiles>(
    `SELECT ${QUANTILES('toUnixTimestamp64Milli(raw_append_time) - toUnixTimestamp64Milli(request_time)')}
     FROM ${table} WHERE ${within}`,
    { from, to },
  );
  const replayed = await replays(warehouse, project.prefix, window);
  const source = project.sources.find(({ name }) => name === model.request.source);
  const nameOf = (view: string) => view.split('@')[0] ?? view;
  const mostOf = (id: string) => {
    const view = project.views.find((one) => one.id === id);
    return view === undefined ? null : usualAge(view);
  };
  return [
    ...ages.flatMap((age) =>
      quantileMeasures({ ...shared, subject: nameOf(age.view) }, 'feature_age', age, '', mostOf(age.view)),
    ),
    ...quantileMeasures(
      shared,
      'watermark_delay',
      replayed ? undefined : arrival,
      replayed
        ? 'A replay brings its own clock: how far it lies behind the wall clock tells nothing.'
        : 'Nothing was asked in the window.',
      source === undefined ? null : usualArrival(source),
    ),
  ];
}

/** Whether clocks of a replay stand in the window. */
async function replays(warehouse: Warehouse, prefix: string, { from, to }: Window): Promise<boolean> {
  const [row] = await warehouse.query<{ clocks: number }>(
    `SELECT count() AS clocks FROM ${quoteName(tables.progress(prefix))}
     WHERE replay != '' AND clock >= fromUnixTimestamp64Milli({from:Int64})
       AND clock <= fromUnixTimestamp64Milli({to:Int64})`,
    { from, to },
  );
  return (row?.clocks ?? 0) > 0;
}

/** How long after its request the label that counts comes, ms, of a window whose labels are known. */
export async function measureLabelDelay(deps: WindowDeps, window: Window): Promise<Measure[]> {
  const { from, to, tick } = window;
  const { times, labelTimes } = await selectLabelled(deps, { from, to, asOf: tick, sample: null });
  const delays = labelTimes.map((at, i) => at - (times[i] ?? 0)).sort();
  const rows = delays.length;
  // As quantilesExact counts.
  const at = LEVELS.map((level) => delays[Math.floor(level * rows)] ?? 0);
  return quantileMeasures(
    { ...window, model: deps.model.name },
    'label_delay',
    { rows, at, most: delays.at(-1) ?? 0 },
    'No request of the window has a label.',
  );
}
