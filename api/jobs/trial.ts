import { describeProject } from '../../config/check.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { summaryOf } from '../../models/feature-summary.ts';
import { keyOfParts } from '../../processors/entity-key.ts';
import { tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { type PastRow, readPointInTime } from '../../streams/history/point-in-time.ts';
import type { Trial } from '../declarations.ts';
import type { ApiDeps } from '../deps.ts';
import { sourcesWithKey } from '../find.ts';
import { Problem } from '../problem.ts';
import type { Work } from './jobs.ts';

const LAST = 5;

/**
 * What a view would have said at the last events that have its key, beside what the project's own view says: read as of each
 * event's time from the archive, by the readers that live uses. Writes nothing but its result.
 */
export async function runTrial(
  { project, warehouse, clock }: Pick<ApiDeps, 'project' | 'warehouse' | 'clock'>,
  trial: Trial,
  reads: number,
  work: Work,
): Promise<void> {
  const { view } = trial;
  const own = project.views.find(({ name }) => name === view.name);
  const before = own === undefined || trial.same ? null : own;
  const views = before === null ? [view] : [view, before];
  const rows = await rowsFor(trial, views, reads, warehouse);
  const width = views.reduce((sum, { features }) => sum + features.length, 0);
  const values = new Float64Array(rows.length * width);
  const began = clock.now();
  const events = await readPointInTime(
    {
      project: trial.project,
      warehouse,
      reads: views.map((one, i) => ({ view: one, offset: i === 0 ? 0 : view.features.length })),
      width,
      rows,
      signal: work.signal,
      onProgress: (done) => work.progress(`read ${done.events} events`, done.rows, rows.length),
    },
    (row, read) => values.set(read, row * width),
  );
  const summaries = (of: View, offset: number) =>
    of.features.map(({ name }, at) =>
      summaryOf(name, { rows: values, column: offset + at, width, length: rows.length }, LAST),
    );
  const cost = describeProject(trial.project).views.find(({ id }) => id === view.id);
  const result = {
    view: view.name,
    id: view.id,
    replaces: trial.replaces,
    same: trial.same,
    reads: rows.length,
    entities: new Set(rows.map(({ entities }) => entities[0])).size,
    events,
    ms: clock.now() - began,
    cost: { worstTiles: cost?.worstTiles ?? 0, worstBytes: cost?.worstBytes ?? 0 },
    features: summaries(view, 0),
    before: before === null ? null : summaries(before, view.features.length),
  };
  await work.write(`${JSON.stringify(result)}\n`);
}

/** The last events that hold the key of the view, in the order of their times. Throws Problem where there are none. */
async function rowsFor(
  { project, view }: Trial,
  views: readonly View[],
  limit: number,
  warehouse: ApiDeps['warehouse'],
): Promise<PastRow[]> {
  const [source] = sourcesWithKey(project, view);
  if (source === undefined)
    throw new Problem(
      422,
      'no_key',
      `No source of ${view.name} has all fields of its key (${view.entity.join(', ')}).`,
    );
  const key = view.entity.map((field) => `toString(${quoteName(field)})`);
  const found = await warehouse.query<{ parts: string[]; at: number }>(
    `SELECT [${key.map((part) => `assumeNotNull(${part})`).join(', ')}] AS parts, toUnixTimestamp64Milli(time) AS at
     FROM ${quoteName(tables.events(project.prefix, source.name))} FINAL
     WHERE ${key.map((part) => `${part} IS NOT NULL`).join(' AND ')} AND ({type:String} = '' OR type = {type:String})
     ORDER BY time DESC LIMIT {limit:UInt32}`,
    { limit, type: requestOf(project, view, source) },
  );
  if (found.length === 0)
    throw new Problem(
      409,
      'empty_archive',
      `The archive holds no event of ${source.name} with the key of ${view.name}.`,
    );
  // A view whose key was changed reads nothing beside the one it replaces.
  const same = views.map(({ entity }) => entity.join('|') === view.entity.join('|'));
  return found.reverse().map(({ parts, at }) => {
    const entity = keyOfParts(parts);
    return { time: at, entities: same.map((one) => (one ? entity : null)), zones: views.map(() => null) };
  });
}

/** The event at which a model asks for the view, where one does by the same fields; '' = every event counts. */
const requestOf = ({ models }: Project, { name, entity }: View, source: Source): string =>
  models.find(
    ({ request, reads }) =>
      request.source === source.name &&
      reads.some(
        ({ view, key }) =>
          (view === name || view.startsWith(`${name}@`)) && key.join('|') === entity.join('|'),
      ),
  )?.request.eventType ?? '';
