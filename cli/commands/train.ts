import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { emptyFeaturesSentence } from '../../models/empty-features.ts';
import { fewLabelsSentence } from '../../models/few-labels.ts';
import { openMirror } from '../../pipelines/training/runs-mirror.ts';
import { overtakenSentence, trainModel } from '../../pipelines/training/training.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { count, duration, instant } from '../format.ts';
import { metricTable } from '../metric-table.ts';
import { instantOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { trainingSteps } from '../training-progress.ts';
import { codeVersion } from '../version.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly from?: number;
  readonly to?: number;
  readonly asOf?: number;
  readonly promote?: boolean;
}

export const registerTrain: Register = (program, run) => {
  program
    .command('train')
    .argument('[model]', "default: the project's only one")
    .description('train a model from the archive and register it; the first version becomes champion at once')
    .option('--from <time>', 'requests from here (default: what the model declares)', instantOption)
    .option('--to <time>', 'requests before this', instantOption)
    .option(
      '--as-of <time>',
      'labels that matured by then (default: the latest event in the archive)',
      instantOption,
    )
    .option('--promote', 'make it champion even where there is one')
    .addHelpText(
      'after',
      examples(
        ['millrace train', 'on the range that the model declares'],
        ['millrace train --to 2001-03-23 --promote', 'on what came before, and let it score from now on'],
      ),
    )
    .action(run(train));
};

async function train(context: CommandContext, name: string | undefined, options: Options): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context);
  const model = modelOf(project, name);
  const platform = openPlatform(context, project);
  const steps = trainingSteps(output);
  try {
    const { models: codec } = await platform.codecs();
    const { run, version, dataSet, overtaken, fitted, emptyFeatures, startedAt, finishedAt } =
      await trainModel({
        project,
        model,
        warehouse: platform.warehouse,
        artefacts: platform.artefacts,
        registry: createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
        from: options.from ?? null,
        to: options.to ?? null,
        asOf: options.asOf ?? null,
        as: options.promote ? 'champion' : 'auto',
        by: 'millrace train',
        codeVersion: codeVersion(context.environment.packageDirectory),
        now: platform.clock.now,
        mirror: openMirror(project, output.warn),
        progress: steps.on,
        signal,
      });
    steps.done();
    const { validation } = fitted;
    const empty = emptyFeaturesSentence(emptyFeatures);
    if (empty !== null) output.warn(empty);
    const few = fewLabelsSentence(dataSet.rows, validation.model.rows);
    if (few !== null) output.warn(few);
    if (output.isJson) return output.json({ run, version, dataSet, overtaken, emptyFeatures, validation });
    output.line(
      `${model.name} version ${version.version} is ${version.state}: ${count(dataSet.rows)} rows of ${instant(dataSet.from)} to ${instant(dataSet.to)}, in ${duration(finishedAt - startedAt)}`,
    );
    if (version.state === 'candidate') output.note(candidateSentence(model.name, version.version));
    if (overtaken.requests > 0) output.warn(overtakenSentence(model, overtaken));
    if (dataSet.untold > 0)
      output.warn(
        `${count(dataSet.untold)} ${model.request.eventType} stay without a label: 'check' is null for every ${model.label.eventType} that came.`,
      );
    metricTable(output, 'validation (the latest part of the rows)', validation);
  } catch (error) {
    steps.fail();
    throw error;
  } finally {
    await platform.close();
  }
}

/** How a version that nobody has chosen yet comes to score. */
export const candidateSentence = (model: string, version: number): string =>
  `The champion goes on scoring. To let this version score: millrace models --model ${model} promote ${version} --reason '<why>'.`;
