import type { ModelBody } from './body.ts';
import { createCalibrator, fitCalibration } from './calibration.ts';
import type { Dataset } from './dataset.ts';
import { importanceOf } from './importance.ts';
import { metricsOf } from './metrics.ts';
import type { CommonSpec } from './parameters.ts';
import type { TimeSplit, Trained } from './trainer.ts';

/**
 * What every trainer ends with, on the rows it put aside: calibration, figures, and how much each feature matters.
 *
 * @param outputs raw outputs of the validation rows by the published scorer of `body`.
 */
export function finish(
  { names, rows, labels }: Dataset,
  { training, validation, cutTime }: TimeSplit,
  spec: CommonSpec,
  body: ModelBody,
  outputs: Float64Array,
): Pick<Trained, 'body' | 'calibration' | 'split' | 'validation' | 'importance'> {
  const validationLabels = Uint8Array.from(validation, (row) => labels[row] as number);
  const calibration = fitCalibration(spec.calibration, outputs, validationLabels);
  return {
    body,
    calibration,
    split: { trainingRows: training.length, validationRows: validation.length, cutTime },
    validation: metricsOf(outputs.map(createCalibrator(calibration)), validationLabels),
    importance: importanceOf(body, calibration, rows, names.length, validation, spec.seed),
  };
}
