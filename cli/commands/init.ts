import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { describeProject } from '../../config/check.ts';
import { loadProject } from '../../config/load.ts';
import { localVariables } from '../../infrastructure/local/addresses.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { counted, shellWord } from '../format.ts';
import { openQuestions, type Questions } from '../init/ask.ts';
import { type Files, projectFiles } from '../init/files.ts';
import { observe } from '../init/observe.ts';
import { NoProposal } from '../init/paths.ts';
import { type Proposal, propose, type Wishes } from '../init/propose.ts';
import type { Samples } from '../init/samples.ts';
import { ownerOf } from '../raw-topic.ts';
import { packageVersion } from '../version.ts';

interface Options {
  readonly name?: string;
  readonly sample?: string;
  readonly topic?: string;
  readonly key?: string;
  readonly id?: string;
  readonly time?: string;
  readonly predict?: string;
  readonly yes?: boolean;
}

export const registerInit: Register = (program, run) => {
  program
    .command('init')
    .argument('[dir]', 'where the project goes (default: ./)')
    .description(
      'make a project from a sample record or a topic: fields, times, first features, a generator, a test',
    )
    .option('--name <name>', 'of the events: page_views (default: the name of the topic or the directory)')
    .option('--sample <json>', 'a record as JSON, a file of them, or - for standard input')
    .option('--topic <topic>', 'look at a hundred records of this topic (KAFKA_BROKERS, REGISTRY_URL)')
    .option('--key <field>', 'whose events they are: user.id')
    .option('--id <field>', 'what names one event and no other: order_no')
    .option('--time <field>', 'when they happened: viewed_at')
    .option(
      '--predict <name>',
      'what becomes known of an event later, true or false: bought; none for no model',
    )
    .option('--yes', 'ask nothing: take the proposals (as without a terminal)')
    .addHelpText(
      'after',
      examples(
        ['millrace init', 'asks for what it needs'],
        [
          `millrace init shop --name page_views --sample '{"id": "v1", "at": "2026-01-31T12:00:00Z", "user": "u17", "page": "/cart", "seconds": 4.2}' --predict bought`,
          'from one record',
        ],
        ['millrace init --topic readings --key sensor --predict failed', 'from what a topic holds'],
      ),
    )
    .action(run(init));
};

async function init(context: CommandContext, dir: string | undefined, options: Options): Promise<void> {
  const { output, signal } = context;
  const directory = resolve(dir ?? context.project ?? '.');
  if (existsSync(join(directory, 'project.yaml')))
    throw new UsageError(`${directory} holds a project already: name another directory.`);
  const asks =
    process.stdin.isTTY === true && options.yes !== true && options.sample !== '-' && !output.isJson;
  const questions = asks ? openQuestions(signal) : null;
  try {
    const samples = await samplesOf(context, options, questions);
    const proposal = await settle(samples, { ...options, directory }, questions);
    const files = projectFiles(proposal, packageVersion(context.environment.packageDirectory));
    const written = write(directory, files);
    // It is ours to make a project that passes.
    const { warnings } = describeProject(
      loadProject(directory, { environment: context.environment.variables }),
    );
    if (output.isJson) output.json({ directory, files: written, proposal, warnings });
    else tell(context, directory, samples, proposal, written);
  } catch (error) {
    if (error instanceof NoProposal) throw new UsageError(error.message, { cause: error });
    throw error;
  } finally {
    questions?.close();
  }
}

async function samplesOf(
  context: CommandContext,
  options: Options,
  questions: Questions | null,
): Promise<Samples> {
  // Kafka's client is large, and most projects begin with a record.
  const { readSamples, sampleTopic } = await import('../init/samples.ts');
  if (options.topic !== undefined) return sampleTopic(options.topic, connectionsOf(context));
  if (options.sample !== undefined) return readSamples(options.sample);
  const given = await questions?.ask('A sample record (JSON, or a file), or the name of a topic', '');
  if (given === undefined || given === '')
    throw new UsageError('Give a sample record with --sample (JSON, a file, or -), or a topic with --topic.');
  if (/^\s*[[{]/.test(given) || given === '-' || existsSync(given)) return readSamples(given);
  return sampleTopic(given, connectionsOf(context));
}

function connectionsOf({ environment }: CommandContext) {
  const variables = { ...localVariables(environment.stackDirectory), ...environment.variables };
  const { REGISTRY_URL, REGISTRY_USERNAME, REGISTRY_PASSWORD } = variables;
  return {
    kafka: {
      brokers: (variables.KAFKA_BROKERS || 'localhost:9092').split(','),
      tls: variables.KAFKA_TLS === 'true',
      sasl: null,
    },
    registry: {
      url: REGISTRY_URL || 'http://localhost:8081',
      ...(REGISTRY_USERNAME ? { username: REGISTRY_USERNAME } : {}),
      ...(REGISTRY_PASSWORD ? { password: REGISTRY_PASSWORD } : {}),
    },
  };
}

/** A first proposal from the samples alone; then each part that nobody named is asked for. */
async function settle(
  samples: Samples,
  options: Options & { readonly directory: string },
  questions: Questions | null,
): Promise<Proposal> {
  const observation = observe(samples.records);
  const ask = async (given: string | undefined, question: string, proposal: () => string) =>
    given ?? (questions === null ? undefined : await questions.ask(question, proposal()));
  const { topic } = samples;
  const fallback =
    topic === undefined
      ? basename(options.directory) || 'events'
      : (ownerOf(topic.name)?.source ?? topic.name);
  const name = (await ask(options.name, 'A name for these events', () => fallback)) ?? fallback;
  const base: Wishes = { name, predict: null, subject: samples.subject, topic, id: options.id };
  const guess = (wishes: Wishes, part: (proposal: Proposal) => string) => () => {
    try {
      return part(propose(observation, wishes));
    } catch {
      return '';
    }
  };
  const time = await ask(
    options.time,
    'When it happened',
    guess(base, (one) => one.time.path),
  );
  const timed = { ...base, ...(time ? { time } : {}) };
  const key = await ask(
    options.key,
    'Whose events they are (the key)',
    guess(timed, ({ key, fields }) => fields.find((field) => field.name === key)?.path ?? key),
  );
  const predict = await ask(
    options.predict,
    'What becomes known later, true or false (none: no model)',
    () => 'none',
  );
  return propose(observation, {
    ...timed,
    ...(key ? { key } : {}),
    predict: predict === undefined || predict === 'none' ? null : predict,
  });
}

/** Writes what is not there yet; package.json, README.md and .gitignore of somebody else stay as they are. */
function write(directory: string, files: Files): string[] {
  const own = ['package.json', '.gitignore', 'README.md'];
  const taken = [...files.keys()].find((path) => !own.includes(path) && existsSync(join(directory, path)));
  if (taken !== undefined)
    throw new UsageError(`${join(directory, taken)} is there already: name another directory.`);
  const written: string[] = [];
  for (const [path, text] of files) {
    const file = join(directory, path);
    if (existsSync(file)) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    written.push(path);
  }
  return written;
}

function tell(
  { output }: CommandContext,
  directory: string,
  samples: Samples,
  proposal: Proposal,
  written: readonly string[],
): void {
  const { bold, green, yellow, dim } = output.colours;
  const { fields, id, key, time, views, predict } = proposal;
  output.line(
    `${green('✓')} ${bold(proposal.name)} is a project that checks ${dim(`(from ${counted(samples.records.length, 'record')} of ${samples.from})`)}`,
  );
  output.line();
  output.line(`  id        ${id.path}${id.seen ? '' : dim(' (not in the sample)')}`);
  output.line(`  time      ${time.path} ${dim(`(${time.unit})`)}`);
  output.line(`  key       ${key}`);
  output.line(`  fields    ${fields.map(({ name, type }) => `${name} ${dim(type)}`).join(', ')}`);
  output.line(
    `  features  of ${views.map(({ name, features }) => `${name} (${features.length})`).join(', ')}`,
  );
  output.line(`  predicts  ${predict === null ? dim('nothing yet') : predict.name}`);
  output.line();
  for (const note of proposal.notes) output.line(`${yellow('look:')} ${note}`);
  output.line(dim(written.join('  ')));
  const there = relative('.', directory);
  output.line();
  output.line(
    `Next: ${there === '' ? '' : `cd ${shellWord(there)} && `}${hasMillrace(directory) ? '' : 'npm install && '}npx millrace dev, and read README.md`,
  );
}

/** Whether `npx millrace` finds the package from there. */
function hasMillrace(directory: string): boolean {
  for (let at = directory; ; at = dirname(at)) {
    if (existsSync(join(at, 'node_modules')) && readdirSync(join(at, 'node_modules')).includes('millrace'))
      return true;
    if (at === dirname(at)) return false;
  }
}
