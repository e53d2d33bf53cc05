import { createScorer, type Scorer } from '../../../models/scorer.ts';
import type { DataSet } from '../../../pipelines/training/dataset.ts';
import { fitModel } from '../../../pipelines/training/fit.ts';
import type { Model, Project } from '../../../schemas/project.ts';

/** A model learnt from some rows of a data set, ready to score. */
export async function fitScorer(
  project: Project,
  model: Model,
  data: DataSet,
  chosen: Uint32Array,
): Promise<Scorer> {
  const width = model.features.length;
  const rows = new Float64Array(chosen.length * width);
  chosen.forEach((row, i) => {
    rows.set(data.rows.subarray(row * width, (row + 1) * width), i * width);
  });
  const training: DataSet = {
    ...data,
    ids: [],
    rows,
    times: Float64Array.from(chosen, (row) => data.times[row] as number),
    labels: Uint8Array.from(chosen, (row) => data.labels[row] as number),
    cells: Int16Array.from(chosen, (row) => data.cells[row] as number),
    logged: 0,
    backfilled: chosen.length,
  };
  const last = training.times.at(-1) ?? 0;
  const { artefact } = await fitModel({
    project,
    model,
    training,
    test: null,
    asOf: last,
    codeVersion: 'bench',
  });
  return createScorer(artefact);
}
