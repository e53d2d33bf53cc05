import { ensureTables, removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { fitBaseRate, fitCalendar } from '../../models/baseline.ts';
import { type Evaluation, evaluate } from '../../models/evaluation.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { type ImportProgress, type ImportReport, importHistory } from '../../streams/history/import.ts';
import { buildDataSets, type DataSet } from './dataset.ts';
import { type Fitted, fitModel } from './fit.ts';
import type { TrainProgress } from './training.ts';

export interface EvaluateOptions {
  /** Under a prefix of its own: its tables are made and, in the end, dropped. */
  readonly project: Project;
  readonly model: Model;
  readonly warehouse: Warehouse;
  /** Imported one after another. */
  readonly histories: ReadonlyArray<{ readonly source: Source; readonly file: HistoryFile }>;
  /** Request times, epoch ms: from <= time < to. */
  readonly training: { readonly from: number; readonly to: number };
  readonly test: { readonly from: number; readonly to: number };
  /** Most test rows; null = all. */
  readonly testRows: number | null;
  readonly codeVersion: string;
  /** Wall time, epoch ms. */
  readonly now: () => number;
  /** Leaves the tables for a look afterwards. */
  readonly keep?: boolean;
  readonly progress?: (done: EvaluateProgress) => void;
  readonly signal?: AbortSignal;
}

export type EvaluateProgress = TrainProgress | ({ readonly step: 'import' } & ImportProgress);

export interface EvaluateReport {
  readonly imported: readonly ImportReport[];
  readonly training: Pick<DataSet, 'from' | 'to' | 'hash'> & { readonly rows: number };
  readonly test: Pick<DataSet, 'from' | 'to' | 'hash'> & { readonly rows: number };
  readonly evaluation: Evaluation;
  readonly fitted: Fitted;
  /** Wall time of each part, ms. */
  readonly ms: {
    readonly import: number;
    readonly dataSets: number;
    readonly fit: number;
    readonly total: number;
  };
}

/**
 * How good a model is on a time it has not seen: history is imported into tables of its own, vectors are
 * backfilled at the full head as live would read them, the model is trained on one range and judged on a later
 * one, beside the base rate and the calendar alone, which were fitted on the same training rows.
 */
export async function evaluateModel(options: EvaluateOptions): Promise<EvaluateReport> {
  const { project, model, warehouse, histories, training, test, now } = options;
  const passOn = options.signal === undefined ? {} : { signal: options.signal };
  const started = now();
  await ensureTables(warehouse, project);
  try {
    const imported: ImportReport[] = [];
    for (const history of histories)
      imported.push(
        await importHistory({
          project,
          warehouse,
          ...history,
          from: null,
          to: null,
          now: started,
          progress: (done) => options.progress?.({ step: 'import', ...done }),
          ...passOn,
        }),
      );
    const importedAt = now();
    const [train, tested] = await buildDataSets({
      project,
      model,
      warehouse,
      selections: [
        // What was known when the training range ended; labels that came later are the future.
        { ...training, asOf: training.to, sample: model.sample },
        {
          ...test,
          asOf: Math.max(...imported.map(({ to }) => to)),
          sample: options.testRows === null ? null : { maxRows: options.testRows, seed: model.sample.seed },
        },
      ],
      ...(options.progress === undefined ? {} : { progress: options.progress }),
      ...passOn,
    });
    if (train === undefined || tested === undefined) throw new Error('two selections give two data sets');
    const builtAt = now();
    const fitted = await fitModel({
      project,
      model,
      training: train,
      test: tested,
      asOf: training.to,
      codeVersion: options.codeVersion,
      onBackend: (backend) => options.progress?.({ step: 'backend', backend }),
      onEpoch: (report, of) => options.progress?.({ step: 'epoch', report, of }),
      ...passOn,
    });
    const evaluation = evaluate(tested, fitted.testScores ?? new Float64Array(0), tested.cells, {
      baseRate: fitBaseRate(train.labels),
      calendar: fitCalendar(train.cells, train.labels),
    });
    const finished = now();
    return {
      imported,
      training: { from: train.from, to: train.to, hash: train.hash, rows: train.labels.length },
      test: { from: tested.from, to: tested.to, hash: tested.hash, rows: tested.labels.length },
      evaluation,
      fitted,
      ms: {
        import: importedAt - started,
        dataSets: builtAt - importedAt,
        fit: finished - builtAt,
        total: finished - started,
      },
    };
  } finally {
    if (options.keep !== true) await removeTables(warehouse, project.prefix);
  }
}
