import { createHash } from 'node:crypto';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { hashDataset } from '../../models/dataset.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { Selection } from '../../streams/archive/label-query.ts';
import { selectLabelled } from '../../streams/archive/labels.ts';
import { backfillVectors } from '../../streams/history/backfill-vectors.ts';
import { readKept, readLogged } from './logged.ts';
import { basisOf, keepVectors, type VectorsProgress } from './vectors.ts';

/** Rows to learn from, in the order of (request time, id). */
export interface DataSet {
  readonly ids: readonly string[];
  /** Event times of the requests, epoch ms. */
  readonly times: Float64Array;
  /** n x features of the model, row-major; NaN is null. */
  readonly rows: Float64Array;
  /** 0 or 1. */
  readonly labels: Uint8Array;
  /** Cell of each request's local clock, for the calendar baseline; -1 = none. */
  readonly cells: Int16Array;
  /** How many vectors were logged live, and how many were backfilled. */
  readonly logged: number;
  readonly backfilled: number;
  /** Requests left out because every label of theirs is null so far. */
  readonly untold: number;
  /** How the labels were joined: SQL with its parameters. */
  readonly query: string;
  /** Request times, epoch ms: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** SHA-256 of query, range and rows. */
  readonly hash: string;
}

export type DataSetProgress = VectorsProgress | { readonly step: 'logged'; readonly rows: number };

export interface DataSetOptions {
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** May overlap; all are backfilled in one pass over the archive. */
  readonly selections: readonly Selection[];
  /** Backfilled vectors are kept in a table and taken from there the next time. */
  readonly keep?: boolean;
  readonly progress?: (done: DataSetProgress) => void;
  readonly signal?: AbortSignal;
}

const NONE: ReadonlySet<number> = new Set();

/**
 * Data sets of past requests whose labels have matured. A row takes its logged vector where inference logged
 * one with this layout at the full head, else one backfilled from the archive.
 */
export async function buildDataSets(options: DataSetOptions): Promise<DataSet[]> {
  const { project, model, warehouse, selections } = options;
  const labelled: Array<Awaited<ReturnType<typeof selectLabelled>>> = [];
  for (const selection of selections) labelled.push(await selectLabelled(options, selection));
  const place = new Map<string, number>();
  for (const { ids } of labelled) for (const id of ids) if (!place.has(id)) place.set(id, place.size);
  options.progress?.({ step: 'labels', rows: place.size });

  const width = model.features.length;
  const rows = new Float64Array(place.size * width).fill(Number.NaN);
  const from = Math.min(...selections.map((selection) => selection.from));
  const to = Math.max(...selections.map((selection) => selection.to));
  const sample = sampleOf(selections, labelled);
  const reading = {
    project,
    model,
    warehouse,
    from,
    to,
    place,
    rows,
    ...(sample === null ? {} : { sample }),
  };
  const logged = await readLogged(reading);
  options.progress?.({ step: 'logged', rows: logged.size });
  const kept =
    options.keep === true ? await readKept(reading, await basisOf(warehouse, project, model)) : NONE;
  const times = timesOf(labelled, place);
  const wanted = new Map([...place].filter(([, at]) => !logged.has(at) && !kept.has(at)));
  if (wanted.size > 0) {
    await backfillVectors({
      project,
      model,
      warehouse,
      wanted,
      ...extentOf(times, wanted.values()),
      rows,
      progress: (done) => options.progress?.({ step: 'vectors', ...done, of: wanted.size }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (options.keep === true) {
      const places = Uint32Array.from(wanted.values());
      const wantedTimes = Float64Array.from(places, (at) => times[at] ?? 0);
      await keepVectors(options, { ids: [...wanted.keys()], times: wantedTimes, places, rows });
    }
  }

  return labelled.map((set, s) => {
    const selection = selections[s] as Selection;
    const own = labelled.length === 1 ? rows : gatherRows(set.ids, place, rows, width);
    const { query } = set;
    const countLogged = set.ids.reduce((sum, id) => sum + (logged.has(place.get(id) ?? -1) ? 1 : 0), 0);
    const data = { ...set, rows: own, names: model.features.map(({ name }) => name) };
    return {
      ids: set.ids,
      times: set.times,
      labels: set.labels,
      cells: set.cells,
      rows: own,
      logged: countLogged,
      backfilled: set.ids.length - countLogged,
      untold: set.untold,
      query,
      from: selection.from,
      to: selection.to,
      hash: createHash('sha256')
        .update(JSON.stringify([query, selection.from, selection.to, set.ids.length]))
        .update(set.ids.length === 0 ? '' : hashDataset(data))
        .digest('hex'),
    };
  });
}

/** The sample that holds those of all selections; null where one of them takes every request. */
function sampleOf(
  selections: readonly Selection[],
  labelled: ReadonlyArray<{ readonly chance: number | null }>,
): { readonly seed: number; readonly most: number } | null {
  const [seed, ...others] = new Set(selections.map(({ sample }) => sample?.seed ?? null));
  const chances = labelled.map(({ chance }) => chance ?? Number.POSITIVE_INFINITY);
  const most = Math.max(...chances);
  return seed == null || others.length > 0 || !Number.isFinite(most) ? null : { seed, most };
}

/** Request times by place. */
function timesOf(
  sets: ReadonlyArray<{ readonly ids: readonly string[]; readonly times: Float64Array }>,
  place: ReadonlyMap<string, number>,
): Float64Array {
  const times = new Float64Array(place.size);
  for (const { ids, times: own } of sets)
    for (const [i, id] of ids.entries()) times[place.get(id) ?? 0] = own[i] ?? 0;
  return times;
}

/** The stretch of event time that the places lie in: a pass folds no more than it must. */
function extentOf(times: Float64Array, places: Iterable<number>): { from: number; to: number } {
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const at of places) {
    from = Math.min(from, times[at] ?? 0);
    to = Math.max(to, times[at] ?? 0);
  }
  return { from, to: to + 1 };
}

function gatherRows(
  ids: readonly string[],
  place: ReadonlyMap<string, number>,
  rows: Float64Array,
  width: number,
): Float64Array {
  const own = new Float64Array(ids.length * width);
  for (const [i, id] of ids.entries()) {
    const at = place.get(id) ?? 0;
    own.set(rows.subarray(at * width, (at + 1) * width), i * width);
  }
  return own;
}
