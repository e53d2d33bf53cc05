import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { retrying } from '../../infrastructure/clickhouse/retry.ts';
import { RowBinaryWriter } from '../../infrastructure/clickhouse/row-binary.ts';
import { sampleRows } from '../../models/dataset.ts';
import { tables } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { floorTo } from '../../schemas/time.ts';

/** Rows that a version learnt from (those of its validation among them), with its scores. */
export interface ReferenceRows {
  readonly version: number;
  /** SHA-256. */
  readonly artefact: string;
  readonly ids: readonly string[];
  /** Event times of the requests, epoch ms. */
  readonly times: Float64Array;
  /** n x features of the model, row-major; NaN is null. */
  readonly rows: Float64Array;
  /** What the version says of a row, 0 to 1. Asked of the kept ones alone. */
  readonly scoreOf: (row: number) => number;
  /** 0 or 1. */
  readonly labels: Uint8Array;
}

/** Most rows that a version leaves: cells and quiet windows do not need more. */
const MAX_REFERENCE_ROWS = 30_000;
const ROWS_AN_INSERT = 10_000;
const COLUMNS = ['version', 'artefact', 'request_id', 'request_time', 'layout', 'vector', 'score', 'label'];

/**
 * Keeps the youngest rows that a version learnt from: what its windows are compared with until there are
 * predictions of as long a time. Whole windows of `monitoring.reference`, a seeded sample where there are too many.
 * Answers how many. The same rows written twice are there once.
 */
export async function writeReference(
  warehouse: Warehouse,
  project: Pick<Project, 'prefix'>,
  model: Model,
  reference: ReferenceRows,
): Promise<number> {
  const { version, artefact, ids, times, rows, scoreOf, labels } = reference;
  const { every, reference: length } = model.monitoring;
  let last = Number.NEGATIVE_INFINITY;
  for (const time of times) last = Math.max(last, time);
  const from = floorTo(last - length, every);
  const young = [...times.keys()].filter((row) => (times[row] ?? 0) >= from);
  const kept = sampleRows(young.length, MAX_REFERENCE_ROWS, model.sample.seed);
  const width = model.features.length;
  const writer = new RowBinaryWriter();
  for (let start = 0; start < kept.length; start += ROWS_AN_INSERT) {
    const part = kept.slice(start, start + ROWS_AN_INSERT);
    for (const at of part) {
      const row = young[at] ?? 0;
      writer.int32(version);
      writer.string(artefact);
      writer.string(ids[row] ?? '');
      writer.int64(times[row] ?? 0);
      writer.string(model.layoutHash);
      writer.varint(width);
      for (let f = 0; f < width; f += 1) writer.float64(rows[row * width + f] ?? Number.NaN);
      writer.float64(scoreOf(row));
      writer.byte(labels[row] ?? 0);
    }
    const bytes = writer.drain();
    const token = `${version} ${artefact} ${start}+${part.length} of ${kept.length}`;
    await retrying(() =>
      warehouse.insertRaw(tables.references(project.prefix, model.name), COLUMNS, 'RowBinary', bytes, {
        token,
      }),
    );
  }
  return kept.length;
}
