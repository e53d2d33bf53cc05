import { subscribe } from '../../client/subscribe.ts';
import type { Project } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { instant, padEnd } from '../format.ts';
import { wholeOption } from '../options.ts';
import type { Output } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly model?: string;
  readonly fromStart?: boolean;
  readonly limit?: number;
}

export const registerPredictions: Register = (program, run) => {
  const group = program.command('predictions').description('what the models answer');
  group
    .command('tail')
    .description('predictions as they come, without repeats, until Ctrl-C')
    .option('--model <name>', "default: the project's only one")
    .option('--from-start', 'begin with the oldest that Kafka holds')
    .option('--limit <n>', 'end after so many', wholeOption(1))
    .addHelpText(
      'after',
      examples(
        ['millrace predictions tail', 'from now on'],
        ['millrace predictions tail --from-start --limit 5', 'the first five'],
        ['millrace predictions tail --json | jq .score', 'one JSON object a line, vector and all'],
      ),
    )
    .action(run(tail));
};

async function tail(context: CommandContext, options: Options): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context);
  const model = modelOf(project, options.model);
  const platform = openPlatform(context, project);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  try {
    const ended = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => ended.resolve(), { once: true });
    const subscription = await subscribe(
      {
        project,
        model: model.name,
        from: options.fromStart ? 'earliest' : 'latest',
        ports: { kafka: platform.kafka, registry: platform.registry },
        onTrouble: (error) => output.warn(error.message),
      },
      (predictions) => {
        for (const prediction of predictions) {
          if (left <= 0) break;
          left -= 1;
          if (output.isJson) process.stdout.write(`${JSON.stringify(prediction, plain)}\n`);
          else output.line(lineOf(prediction, output));
        }
        if (left <= 0) ended.resolve();
      },
    );
    if (!output.isJson) output.note(`${model.name} of ${project.prefix}; Ctrl-C ends`);
    await Promise.race([ended.promise, subscription.done]);
    await subscription.close();
  } finally {
    await platform.close();
  }
}

/** A missing value of a vector is NaN, which JSON does not have. */
const plain = (_: string, value: unknown) =>
  typeof value === 'number' && Number.isNaN(value) ? null : value;

function lineOf(prediction: Prediction, output: Output): string {
  const { bold, dim, red, yellow } = output.colours;
  const { score, decision } = prediction;
  const answer =
    score === null
      ? red(`refused: ${prediction.reason ?? ''}`)
      : `${(decision ? yellow : bold)(score.toFixed(4))} ${decision ? 'yes' : 'no '}`;
  const ages = prediction.reads.map(({ read, ageMs }) => `${read} ${Math.round(ageMs / 1_000)}s`).join(' ');
  return `${instant(prediction.requestTime)}  ${padEnd(prediction.requestId, 32)}  ${answer}  ${dim(`v${prediction.modelVersion}  ages ${ages}`)}`;
}

export function modelOf(project: Project, name: string | undefined) {
  const [only, ...others] = project.models;
  const model =
    name === undefined
      ? others.length === 0
        ? only
        : undefined
      : project.models.find((one) => one.name === name);
  if (model !== undefined) return model;
  const names = project.models.map((one) => one.name).join(', ');
  throw new UsageError(
    project.models.length === 0
      ? `Project ${project.name} declares no model.`
      : name === undefined
        ? `Project ${project.name} has several models: name one with --model (${names}).`
        : `Project ${project.name} has no model '${name}'; it has ${names}.`,
  );
}
