import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Artefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { writeReference } from '../../monitoring/drift/references.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { DataSet } from '../training/dataset.ts';

/** Keeps the rows that a version learnt from with its scores: what its windows are compared with at first. */
export async function keepReference(
  deps: { readonly warehouse: Warehouse; readonly project: Project; readonly model: Model },
  version: { readonly version: number; readonly artefact: string },
  artefact: Artefact,
  { ids, times, rows, labels }: DataSet,
): Promise<void> {
  const { score, width } = createScorer(artefact, deps.model.layoutHash);
  await writeReference(deps.warehouse, deps.project, deps.model, {
    version: version.version,
    artefact: version.artefact,
    ids,
    times,
    rows,
    scoreOf: (row) => score(rows.subarray(row * width, (row + 1) * width)),
    labels,
  });
}
