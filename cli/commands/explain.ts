import { type Explanation, explain } from '../../streams/explain/explain.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult } from '../errors.ts';
import { duration, instant } from '../format.ts';
import type { Output } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly model?: string;
}

export const registerExplain: Register = (program, run) => {
  program
    .command('explain')
    .argument('<id>', 'of a prediction, of the request it answers, or of a shadow score (…:v2)')
    .description(
      'one prediction with all its inputs, its score computed once more; exit code 1 where a bit differs',
    )
    .option('--model <name>', "default: the project's only one")
    .addHelpText(
      'after',
      examples(
        ['millrace predictions tail --from-start --limit 3', 'find an id'],
        ['millrace explain 2001-03-22T16:00-LAX-SMF-0:d', 'where its score came from'],
      ),
    )
    .action(
      run(async (context: CommandContext, id: string, options: Options) => {
        const project = openProject(context);
        const model = modelOf(project, options.model);
        const platform = openPlatform(context, project);
        try {
          const { warehouse, artefacts } = platform;
          const explanation = await explain({ project, model, warehouse, artefacts }, id);
          if (context.output.isJson) context.output.json(explanation);
          else print(explanation, context.output);
          if (explanation.same === false) throw new FailedResult();
        } finally {
          await platform.close();
        }
      }),
    );
};

function print(one: Explanation, output: Output): void {
  const { bold, dim, green, red } = output.colours;
  const answer =
    one.score === null
      ? red(`refused: ${one.reason ?? ''}`)
      : `${one.score} (${one.decision ? 'yes' : 'no'}, from ${one.threshold} on)`;
  output.line(`${bold(one.requestId)} of ${instant(one.requestTime)}`);
  output.line(`${one.model} version ${one.modelVersion}: ${bold(answer)}`);
  if (one.same !== null)
    output.line(
      one.same
        ? `${green('✓')} computed once more from its record: the same to the last bit`
        : `${red('✗')} computed once more from its record: ${one.recomputed}`,
    );
  for (const { version, score, reason } of one.beside)
    output.line(dim(`beside it, in the shadow, version ${version}: ${score ?? `refused: ${reason}`}`));
  output.line();
  output.table(
    [
      { title: 'read' },
      { title: 'view' },
      { title: 'entity' },
      { title: 'as of' },
      { title: 'age', align: 'right' },
    ],
    one.reads.map(({ read, view, entity, asOf, ageMs }) => [
      read,
      view,
      entity,
      instant(asOf),
      duration(ageMs),
    ]),
  );
  for (const { read, reason } of one.absent)
    output.line(
      dim(
        reason === 'stale'
          ? `${read}: its state was older than max_age allows, so its features are null`
          : `${read}: the request has no key for it, so its features are null`,
      ),
    );
  output.line();
  printFeatures(one, output);
  output.line();
  const { source, ms } = one;
  output.line(dim(`raw event: ${source.topic} partition ${source.partition} offset ${source.offset}`));
  output.line(
    dim(
      `took ${duration(ms.total)} from raw event to prediction: gate ${duration(ms.gate)}, read ${duration(ms.read)} and score ${duration(ms.score)} of its batch`,
    ),
  );
  output.line(dim(`artefact ${one.artefact}`));
  output.line(dim(one.sql));
}

const METHODS = { shapley: 'exact Shapley values', gradient_input: 'gradient times input' } as const;

/** What adds most comes first. */
function printFeatures({ features, contributions }: Explanation, output: Output): void {
  const { dim } = output.colours;
  const shown = (value: number | null) => (value === null ? dim('null') : String(value));
  const columns = [{ title: 'feature' }, { title: 'value', align: 'right' as const }];
  if (contributions === null) {
    output.table(
      columns,
      features.map(({ name, value }) => [name, shown(value)]),
    );
    return;
  }
  const size = ({ contribution }: Explanation['features'][number]) => Math.abs(contribution ?? 0);
  output.table(
    [...columns, { title: 'adds', align: 'right' }],
    features
      .toSorted((a, b) => size(b) - size(a))
      .map(({ name, value, contribution }) => [name, shown(value), signed(contribution ?? 0)]),
  );
  const { method, base, logit } = contributions;
  output.line(
    dim(
      `adds: log odds by ${METHODS[method]}; with ${signed(base)} to start from they sum to ${signed(logit)}, before calibration`,
    ),
  );
}

const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(4)}`;
