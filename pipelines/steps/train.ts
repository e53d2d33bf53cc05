import { emptyFeatures, emptyFeaturesSentence } from '../../models/empty-features.ts';
import type { Parameters } from '../../models/trainer.ts';
import type { Model } from '../../schemas/project.ts';
import { type Fitted, fitModel } from '../training/fit.ts';
import { epochMetrics, metricsFrom, trackRun } from '../training/runs.ts';
import { dataSetsOf } from './dataset.ts';
import { done, inputOf, type StepWork } from './tools.ts';
import type { TuneResult } from './tune.ts';

export interface TrainResult {
  /** SHA-256. */
  readonly artefact: string;
  readonly location: string;
  readonly layout: string;
  /** Of the experiment. */
  readonly run: string;
  readonly trainer: string;
  readonly rounds: number;
  readonly validation: Fitted['validation'];
}

/** Fits on all but the test part, with what tuning found where a step before this one tuned. */
export const trainStep: StepWork = async (context) => {
  const { project, call, warehouse, artefacts, codeVersion, now, mirror, trial, signal } = context;
  const { training, test, pinned } = await dataSetsOf(context);
  const { trainer } = call.step.step;
  const model: Model = trainer ? { ...context.model, trainer } : context.model;
  const parameters: Parameters = inputOf<TuneResult>(context, 'tune')?.parameters ?? {};
  const id = `${call.run.id}.${call.step.step.name}.${call.step.attempt}`;
  const result = await trackRun(
    { warehouse, prefix: project.prefix, codeVersion, now, mirror },
    {
      id,
      kind: 'train',
      subject: model.name,
      parent: call.run.id,
      parameters: { ...model.trainer.parameters, ...parameters },
      dataset: pinned.training.hash,
    },
    async () => {
      const fitted = await fitModel({
        project,
        model,
        training,
        test: test.labels.length > 0 ? test : null,
        asOf: pinned.asOf,
        codeVersion,
        parameters,
        signal,
        ...(trial === undefined ? {} : { trial }),
        onEpoch: ({ epoch, validation }, of) =>
          call.note(`epoch ${epoch} of ${of}, validation log loss ${validation.logLoss.toFixed(4)}`),
      });
      const { location } = await artefacts.put(fitted.bytes);
      const value: TrainResult = {
        artefact: fitted.address,
        location,
        layout: model.layoutHash,
        run: id,
        trainer: model.trainer.name,
        rounds: fitted.trained.rounds,
        validation: fitted.validation,
      };
      return { value, tail: tailOf(fitted) };
    },
  );
  const empty = emptyFeaturesSentence(
    emptyFeatures(
      training.rows,
      model.features.map(({ name }) => name),
    ),
  );
  return done(
    result,
    `${result.trainer}, ${result.rounds} rounds, validation log loss ${result.validation.model.logLoss.toFixed(4)}${empty === null ? '' : `. ${empty}`}`,
  );
};

/** What a run keeps of a training. */
export const tailOf = (fitted: Fitted) => ({
  artefact: fitted.address,
  parameters: fitted.parameters,
  backend: fitted.backend.name,
  metrics: [
    ...epochMetrics(fitted.epochs),
    ...metricsFrom('validation', fitted.validation.model),
    ...(fitted.test === null ? [] : metricsFrom('test', fitted.test.model)),
  ],
  detail: {
    trainer: fitted.artefact.manifest.trainer.name,
    validation: fitted.validation,
    test: fitted.test,
    rounds: fitted.trained.rounds,
    bestEpoch: fitted.trained.bestEpoch,
    engineDifference: fitted.trained.engineDifference,
    trainingMs: Math.round(fitted.durationMs),
  },
});
