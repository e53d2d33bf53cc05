import { describe, expect, it } from 'vitest';
import { addressOf, parseArtefact, serialiseArtefact } from '../../models/artefact.ts';
import { initialiseBackend } from '../../models/backend.ts';
import { fitBaseRate, fitCalendar } from '../../models/baseline.ts';
import { evaluate } from '../../models/evaluation.ts';
import { metricsOf } from '../../models/metrics.ts';
import { createScorer } from '../../models/scorer.ts';
import { train } from '../../models/train.ts';
import { trainSpecOf } from '../../models/train-spec.ts';
import { cellsOfColumns } from './cells.ts';
import { manifestOf, NAMES, syntheticDataset } from './fixtures.ts';

describe('evaluation', () => {
  it('compares model, base rate and calendar on the same rows, day by day', () => {
    const day = 86_400_000;
    const start = Date.UTC(2001, 2, 23);
    const rows = {
      labels: Uint8Array.of(1, 0, 1, 0, 0),
      times: Float64Array.of(start + day, start, start + day + 5, start + day - 1, start + 3 * day),
    };
    const scores = Float64Array.of(0.9, 0.2, 0.6, 0.3, 0.1);
    const cells = Int16Array.of(1, 1, 2, 2, -1);
    const baselines = {
      baseRate: fitBaseRate(Uint8Array.of(0, 0, 0, 1)),
      calendar: fitCalendar(Int16Array.of(1, 2), Uint8Array.of(1, 0), 0),
    };
    const found = evaluate(rows, scores, cells, baselines);
    expect(found.model).toEqual(metricsOf(scores, rows.labels));
    expect(found.baseRate.logLoss).toBeCloseTo(-(2 * Math.log(0.25) + 3 * Math.log(0.75)) / 5, 12);
    expect(found.calendar.auc).toBe(0.5);
    expect(found.byDay.map(({ day: date, model }) => [date, model.rows, model.auc])).toEqual([
      ['2001-03-23', 2, null],
      ['2001-03-24', 2, null],
      ['2001-03-26', 1, null],
    ]);
    expect(found.byDay[0]?.model).toEqual(metricsOf(Float64Array.of(0.2, 0.3), Uint8Array.of(0, 0)));
    expect(found.reliability.reduce((sum, bin) => sum + bin.rows, 0)).toBe(5);
  });

  it('whole path: train, write, read, score, evaluate', async () => {
    await initialiseBackend();
    const dataset = syntheticDataset(4_000, 1);
    const test = syntheticDataset(2_000, 2);
    const parameters = { hidden: [16], epochs: 6, batchSize: 64, 'cycle.hour': 24, calibration: 'platt' };
    const trained = await train(dataset, trainSpecOf(parameters, NAMES));
    const bytes = serialiseArtefact({
      manifest: { ...manifestOf(NAMES), importance: [...trained.importance] },
      body: trained.body,
      calibration: trained.calibration,
    });
    const scorer = createScorer(parseArtefact(bytes, addressOf(bytes)));
    const scores = new Float64Array(2_000);
    scorer.scoreBatch(test.rows, 2_000, scores);
    const cellsOf = (rows: Float64Array) => cellsOfColumns(rows, NAMES.length, 2, 2);
    const found = evaluate(test, scores, cellsOf(test.rows), {
      baseRate: fitBaseRate(dataset.labels),
      calendar: fitCalendar(cellsOf(dataset.rows), dataset.labels),
    });
    expect(found.model.logLoss).toBeLessThan(found.calendar.logLoss - 0.03);
    expect(found.calendar.logLoss).toBeLessThan(found.baseRate.logLoss);
    expect(found.model.calibrationError).toBeLessThan(0.08);
  });
});
