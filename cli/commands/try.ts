import { describeProject } from '../../config/check.ts';
import { loadProject } from '../../config/load.ts';
import { localVariables } from '../../infrastructure/local/addresses.ts';
import { createMemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { bytes, count, duration, instant, percent } from '../format.ts';
import { projectDirectory } from '../open-project.ts';
import { wholeOption } from '../options.ts';
import type { Output } from '../output.ts';
import { openHistories } from '../try/history.ts';
import { type Overlay, overlayOf, probeModel } from '../try/overlay.ts';
import { type Judged, judge, type TrialDeps, type Values, valuesOf } from '../try/trial.ts';
import { codeVersion } from '../version.ts';

interface Options {
  readonly on?: readonly string[];
  readonly last: number;
  readonly gain: boolean;
}

const PROBE = 'millrace_try';

export const registerTry: Register = (program, run) => {
  program
    .command('try')
    .argument('<file>', 'YAML of a view or a model, in the project or not yet')
    .description(
      'try a view or a model on history before it is deployed: its values, its cost, what the model gains; writes to no server',
    )
    .option(
      '--on <history...>',
      'a file or a topic, SOURCE=… where the project has several (default: what project.yaml names)',
    )
    .option('--last <n>', 'show the values at so many of the last requests', wholeOption(1), 5)
    .option('--no-gain', 'values and cost alone: train nothing')
    .addHelpText(
      'after',
      examples(
        [
          'millrace try views/card.yaml --on history.jsonl',
          'values, cost, and the model with and without the change',
        ],
        ['millrace try new-view.yaml --on shop.page_views.raw', 'on what a topic holds'],
        ['millrace try models/bought.yaml --json', 'for programs'],
      ),
    )
    .action(run(tryCommand));
};

async function tryCommand(context: CommandContext, file: string, options: Options): Promise<void> {
  const { output, signal } = context;
  const directory = projectDirectory(context);
  const overlay = overlayOf(directory, file);
  try {
    const load = (from: string, prefix?: string) =>
      loadProject(from, {
        environment: {
          ...localVariables(context.environment.stackDirectory),
          ...context.environment.variables,
        },
        ...(prefix === undefined ? {} : { prefix }),
      });
    // Topics have the project's own prefix, the tables of the trial one of their own.
    const reading = output.progress('history');
    const histories = await openHistories(load(directory), options.on ?? []);
    const events = histories.reduce((sum, one) => sum + one.file.events, 0);
    reading.done(`${count(events)} events of ${histories.map(({ source }) => source.name).join(', ')}`);
    const { tried, model, own } = chooseModel(overlay, (prefix) => load(overlay.directory, prefix));
    const warehouse = await createMemoryWarehouse();
    try {
      const deps: TrialDeps = { warehouse, histories, now: Date.now, signal };
      const folding = output.progress('values');
      const values = await valuesOf(deps, tried, model, {
        prefix: overlay.kind === 'view' ? `${readOf(model, overlay.name)}.` : '',
        last: options.last,
      });
      folding.done(`at ${count(values.requests)} requests, in ${duration(values.cost.ms)}`);
      const gains =
        options.gain && own
          ? await gainOf(context, deps, overlay, tried, model, load(directory, 'try-before'))
          : null;
      if (output.isJson)
        output.json({ [overlay.kind]: overlay.name, replaces: overlay.replaces, values, gain: gains });
      else print(output, overlay, tried, values, gains);
    } finally {
      await warehouse.close();
    }
  } finally {
    overlay.remove();
  }
}

/** The model through which the definition is looked at; where none of the project's reads the view, one of ours. */
function chooseModel(
  overlay: Overlay,
  load: (prefix: string) => Project,
): { readonly tried: Project; readonly model: Model; readonly own: boolean } {
  const tried = load('try-after');
  const model = tried.models.find(({ name, reads }) =>
    overlay.kind === 'model'
      ? name === overlay.name
      : reads.some(({ view }) => viewNamed(tried, view)?.name === overlay.name),
  );
  if (model !== undefined) return { tried, model, own: true };
  const view = tried.views.find(({ name }) => name === overlay.name);
  if (view === undefined) throw new UsageError(`The project has no ${overlay.kind} ${overlay.name}.`);
  overlay.add(
    `models/${PROBE}.yaml`,
    probeModel(PROBE, view.name, requestFor(tried, view), view.entity[0] ?? 'id'),
  );
  const probed = load('try-after');
  const probe = probed.models.find(({ name }) => name === PROBE);
  if (probe === undefined) throw new Error('a model that was added is not there');
  return { tried: probed, model: probe, own: false };
}

const viewNamed = (project: Project, name: string) =>
  project.views.find((view) => view.name === name || view.id === name);

const readOf = (model: Model, view: string) =>
  model.reads.find((read) => read.view === view || read.view.startsWith(`${view}@`))?.name ?? view;

/** An event that has all parts of the entity's key. */
function requestFor(project: Project, view: View): { readonly source: string; readonly event: string } {
  for (const source of project.sources) {
    if (!view.sources.includes(source.name)) continue;
    const fields = new Set(source.fields.map(({ name }) => name));
    const event = source.events[0]?.name;
    if (event !== undefined && view.entity.every((field) => fields.has(field) || field === 'id'))
      return { source: source.name, event };
  }
  throw new UsageError(`No event has the fields of ${view.name}: ${view.entity.join(', ')}.`);
}

interface Gain {
  readonly model: string;
  /** As it is in the project; null where it is not there yet, or is the same. A text says why there is none. */
  readonly before: Judged | string | null;
  readonly after: Judged | string;
}

async function gainOf(
  { environment, output }: CommandContext,
  deps: TrialDeps,
  overlay: Overlay,
  tried: Project,
  model: Model,
  base: Project,
): Promise<Gain> {
  const judging = output.progress(`training ${model.name}`);
  const settings = {
    codeVersion: codeVersion(environment.packageDirectory),
    progress: () => undefined,
  };
  const after = await judge(deps, { ...tried, prefix: 'try-judged' }, model, settings);
  const old = base.models.find(({ name }) => name === model.name);
  const before =
    overlay.same || old === undefined || typeof after === 'string'
      ? null
      : await judge(deps, base, old, settings);
  judging.done(typeof after === 'string' ? 'not judged' : `judged on ${count(after.rows)} later requests`);
  return { model: model.name, before, after };
}

function print(output: Output, overlay: Overlay, tried: Project, values: Values, gain: Gain | null): void {
  const { bold, dim, yellow } = output.colours;
  const number = (value: number | null) => (value === null ? '-' : Number(value.toPrecision(5)).toString());
  const right = (title: string) => ({ title, align: 'right' as const });
  const state = overlay.same
    ? 'as the project has it'
    : overlay.replaces
      ? 'in place of the one in the project'
      : 'new';
  output.line(`${bold(overlay.name)} ${dim(`(${overlay.kind}, ${state})`)}`);
  output.line();
  output.table(
    [
      { title: 'feature' },
      right('no value'),
      right('least'),
      right('mean'),
      right('largest'),
      { title: 'at the last requests' },
    ],
    values.features.map((one) => [
      one.name,
      percent(one.nulls),
      number(one.least),
      number(one.mean),
      number(one.largest),
      one.last.map(number).join('  '),
    ]),
  );
  const newest = values.times.at(-1);
  if (newest !== undefined) output.line(dim(`the last request: ${values.ids.at(-1)} at ${instant(newest)}`));
  for (const { source, code, rows, example } of values.refused)
    output.line(
      `${yellow('refused:')} ${count(rows)} of ${source}, ${code}: ${example.detail} ${dim(`(${example.where}${example.id === null ? '' : `, ${example.id}`})`)}`,
    );
  output.line();
  const { cost } = values;
  output.line(
    `cost: ${count(cost.entities)} entities in ${bytes(cost.bytes)} of state; ${count(cost.events)} events folded in ${duration(cost.ms)}`,
  );
  for (const view of describeProject(tried).views)
    if (overlay.kind === 'view' && view.id.startsWith(`${overlay.name}@`))
      output.line(`      at worst ${count(view.worstTiles)} tiles, ${bytes(view.worstBytes)} an entity`);
  if (gain !== null) printGain(output, gain);
}

function printGain(output: Output, { model, before, after }: Gain): void {
  output.line();
  if (typeof after === 'string') {
    output.line(`no gain to tell: ${after}`);
    return;
  }
  if (typeof before === 'string') output.line(`no comparison: ${before}`);
  const compared = before === null || typeof before === 'string' ? null : before;
  const fixed = (value: number | null) => (value === null ? '-' : value.toFixed(4));
  const right = (title: string) => ({ title, align: 'right' as const });
  const row = (name: string, { auc, logLoss, brier }: Judged['model']) => [
    name,
    fixed(auc),
    fixed(logLoss),
    fixed(brier),
  ];
  output.table(
    [
      { title: `${model}, on ${count(after.rows)} later requests` },
      right('AUC'),
      right('log loss'),
      right('Brier'),
    ],
    [
      ...(compared === null ? [] : [row('as it is', compared.model)]),
      row(compared === null ? 'model' : 'with the change', after.model),
      row('base rate alone', after.baseRate),
    ],
  );
  if (compared !== null) {
    const less = compared.model.logLoss - after.model.logLoss;
    output.line(
      `the change ${less >= 0 ? 'saves' : 'costs'} ${Math.abs(less).toFixed(4)} of log loss a prediction; differences of this size may be chance on few requests`,
    );
  }
}
