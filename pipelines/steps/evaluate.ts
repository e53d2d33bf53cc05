import { parseArtefact } from '../../models/artefact.ts';
import { type Metrics, metricsOf } from '../../models/metrics.ts';
import { rowsBySlice } from '../../models/quality/quality.ts';
import { createScorer } from '../../models/scorer.ts';
import { metricsFrom, trackRun } from '../training/runs.ts';
import { dataSetsOf } from './dataset.ts';
import { slicesOf } from './slices.ts';
import { done, needed, type StepWork } from './tools.ts';
import type { TrainResult } from './train.ts';

export interface EvaluateResult {
  /** Null where the test part has no row with a label. */
  readonly test: Metrics | null;
  readonly slices: ReadonlyArray<{ readonly slice: string; readonly metrics: Metrics }>;
}

/** The new model on the test part, whole and by slice. */
export const evaluateStep: StepWork = async (context) => {
  const { project, model, call, artefacts, warehouse, codeVersion, now, mirror } = context;
  const trained = needed<TrainResult>(context, 'train');
  const { test, pinned } = await dataSetsOf(context);
  const result = await trackRun<EvaluateResult>(
    { warehouse, prefix: project.prefix, codeVersion, now, mirror },
    {
      id: `${call.run.id}.${call.step.step.name}.${call.step.attempt}`,
      kind: 'evaluate',
      subject: model.name,
      parent: call.run.id,
      dataset: pinned.test.hash,
    },
    async () => {
      if (test.labels.length === 0) return { value: { test: null, slices: [] }, tail: { detail: {} } };
      const artefact = parseArtefact(await artefacts.get(trained.artefact), trained.artefact);
      const scores = new Float64Array(test.labels.length);
      createScorer(artefact, model.layoutHash).scoreBatch(test.rows, test.labels.length, scores);
      const found = await slicesOf(context, test);
      const slices = model.monitoring.slices.flatMap(({ name, minRows }) =>
        rowsBySlice(found[name] ?? [], minRows).map(({ slice, rows }) => ({
          slice: `${name}=${slice}`,
          metrics: metricsOf(
            Float64Array.from(rows, (row) => scores[row] as number),
            Uint8Array.from(rows, (row) => test.labels[row] as number),
          ),
        })),
      );
      const metrics = metricsOf(scores, test.labels);
      const all = [
        ...metricsFrom('test', metrics),
        ...slices.flatMap((one) => metricsFrom('test', one.metrics, one.slice)),
      ];
      const tail = { artefact: trained.artefact, metrics: all, detail: { test: metrics } };
      return { value: { test: metrics, slices }, tail };
    },
  );
  const { test: metrics, slices } = result;
  return done(
    result,
    metrics === null
      ? 'no row of the test part has a label yet'
      : `test log loss ${metrics.logLoss.toFixed(4)}, AUC ${metrics.auc?.toFixed(4) ?? '-'}, ${slices.length} slices`,
  );
};
