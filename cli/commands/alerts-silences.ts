import { randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../../config/durations.ts';
import { mendOfUnknown } from '../../config/nearest.ts';
import type { Silence } from '../../models/alerting/deliveries.ts';
import { readSilences, writeSilence } from '../../monitoring/alerts/silences.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { type CommandContext, examples, type Runner } from '../command.ts';
import { UsageError } from '../errors.ts';
import { duration, instant } from '../format.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly rule?: string;
  readonly model?: string;
  readonly subject?: string;
  readonly for: number;
  readonly reason: string;
}

function spanOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms <= 0) throw new InvalidArgumentError('Write a duration: 30m, 2h, 1d.');
  return ms;
}

/** `silence`, `unsilence` and `silences` of `millrace alerts`. */
export function registerSilences(group: Command, run: Runner): void {
  group
    .command('silence')
    .description('tell nobody of some alerts for a while; they stay on their topic and in `ls`')
    .option('--rule <name>', 'of this rule; default: all')
    .option('--model <name>', 'of this model; default: all')
    .option('--subject <name>', 'of this feature, source or process; default: all')
    .requiredOption('--for <time>', 'how long, by the wall clock: 30m, 2h, 1d', spanOption)
    .requiredOption('--reason <text>', 'why, for those who wonder')
    .addHelpText(
      'after',
      examples(
        [
          "millrace alerts silence --rule drifted --subject origin.late_1h --for 2h --reason 'known storm'",
          'one',
        ],
        ["millrace alerts silence --rule drifted --for 1d --reason 'new timetable'", 'a whole rule'],
      ),
    )
    .action(run(silence));
  group
    .command('unsilence')
    .argument('<id>', 'of the silence, or its first letters')
    .description('end a silence now')
    .addHelpText('after', examples(['millrace alerts unsilence 6f0a', 'they are told of again']))
    .action(run(unsilence));
  group
    .command('silences')
    .description('what is silenced now, until when, and why')
    .addHelpText('after', examples(['millrace alerts silences', 'all that hold']))
    .action(run(list));
}

async function onProject<T>(
  context: CommandContext,
  work: (project: Project, platform: Platform) => Promise<T>,
): Promise<T> {
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    return await work(project, platform);
  } finally {
    await platform.close();
  }
}

async function silence(context: CommandContext, options: Options): Promise<void> {
  const { rule = '', model = '', subject = '', reason } = options;
  if (rule === '' && model === '' && subject === '')
    throw new UsageError('Say what to silence: --rule, --model or --subject.');
  return onProject(context, async (project, { warehouse, clock }) => {
    known('rule', rule, project.alerting.rules);
    known('model', model, project.models);
    const now = clock.now();
    const one: Silence = {
      id: randomUUID().slice(0, 8),
      rule,
      model,
      subject,
      until: now + options.for,
      by: userOf(context),
      reason,
    };
    await writeSilence(warehouse, project.prefix, one, now);
    if (context.output.isJson) return context.output.json(withTimes(one));
    context.output.line(`${one.id}: ${whatOf(one)} is silenced until ${instant(one.until)}.`);
  });
}

function unsilence(context: CommandContext, start: string): Promise<void> {
  return onProject(context, async (project, { warehouse, clock }) => {
    const now = clock.now();
    const found = (await readSilences(warehouse, project.prefix, now)).filter(({ id }) =>
      id.startsWith(start),
    );
    const [one, ...others] = found;
    if (one === undefined) throw new UsageError(`No silence that holds begins with '${start}'.`);
    if (others.length > 0)
      throw new UsageError(
        `Several silences begin with '${start}': ${found.map(({ id }) => id).join(', ')}.`,
      );
    const ended = { ...one, until: now, by: userOf(context) };
    await writeSilence(warehouse, project.prefix, ended, now);
    if (context.output.isJson) return context.output.json(withTimes(ended));
    context.output.line(`${one.id}: ${whatOf(one)} is told of again.`);
  });
}

function list(context: CommandContext): Promise<void> {
  const { output } = context;
  return onProject(context, async (project, { warehouse, clock }) => {
    const now = clock.now();
    const silences = await readSilences(warehouse, project.prefix, now);
    if (output.isJson) return output.json(silences.map(withTimes));
    if (silences.length === 0) return output.line('Nothing is silenced.');
    output.table(
      [{ title: 'id' }, { title: 'what' }, { title: 'for' }, { title: 'by' }, { title: 'reason' }],
      silences.map((one) => [one.id, whatOf(one), duration(one.until - now), one.by, one.reason]),
    );
  });
}

function userOf({ environment }: CommandContext): string {
  const { USER, USERNAME } = environment.variables;
  return USER ?? USERNAME ?? 'somebody';
}

function known(what: string, name: string, declared: ReadonlyArray<{ readonly name: string }>): void {
  const names = declared.map((one) => one.name);
  if (name === '' || names.includes(name)) return;
  throw new UsageError(`The project has no ${what} '${name}'. ${mendOfUnknown(name, names)}`.trim());
}

const whatOf = ({ rule, model, subject }: Silence) =>
  [
    rule === '' ? 'every rule' : rule,
    model === '' ? '' : `of ${model}`,
    subject === '' ? '' : `on ${subject}`,
  ]
    .filter((text) => text !== '')
    .join(' ');

const withTimes = (silence: Silence) => ({ ...silence, until: new Date(silence.until).toISOString() });
