import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Project } from '../../schemas/project.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult, UsageError } from '../errors.ts';
import { asyncApiOf } from '../generate/asyncapi.ts';
import { clientText } from '../generate/typescript.ts';
import { openProject } from '../open-project.ts';

interface Options {
  readonly out: string;
  readonly check?: boolean;
}

/** What can be generated of a project, one file each. */
const KINDS = {
  client: { file: 'millrace.ts', text: clientText },
  asyncapi: {
    file: 'asyncapi.json',
    text: (project: Project) => `${JSON.stringify(asyncApiOf(project), null, 2)}\n`,
  },
} as const;
type Kind = keyof typeof KINDS;

export const registerGenerate: Register = (program, run) => {
  const group = program
    .command('generate')
    .description(
      'write what other programs need of a project: a typed client, the description of its topics',
    );
  const add = (kind: Kind, description: string, ...lines: ReadonlyArray<readonly [string, string]>) =>
    group
      .command(kind)
      .description(description)
      .option('--out <dir>', `directory of ${KINDS[kind].file}; made where it is missing`, '.')
      .option('--check', 'write nothing; exit code 1 where the file is not what would be written')
      .addHelpText('after', examples(...lines))
      .action(run(async (context: CommandContext, options: Options) => generate(context, kind, options)));
  add(
    'client',
    'a TypeScript file with the types of its events, features and predictions, and a client over HTTP or Kafka',
    ['millrace generate client --out ../shop/src', 'for a project that has the package millrace'],
    ['millrace generate client --out ../shop/src --check', 'in CI: is it still what the project says?'],
  );
  add(
    'asyncapi',
    'AsyncAPI 3 of its topics, with JSON Schemas of its events, features, predictions and alerts',
    ['millrace generate asyncapi', 'asyncapi.json in this directory'],
    ['millrace generate asyncapi --out docs --json', 'says as JSON what was written'],
  );
};

async function generate(context: CommandContext, kind: Kind, { out, check = false }: Options): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const file = resolve(out, KINDS[kind].file);
  const text = KINDS[kind].text(project);
  const changed = textOf(file) !== text;
  if (changed && !check) write(out, file, text);
  const shown = relative(process.cwd(), file);
  if (output.isJson) output.json({ kind, file, changed, bytes: Buffer.byteLength(text) });
  else if (!check) output.line(`${shown} ${changed ? 'is written' : 'says what the project says already'}`);
  if (changed && check)
    throw new FailedResult(
      output.isJson
        ? ''
        : `${shown} is not what the project ${project.name} says now: run \`millrace generate ${kind} --out ${out}\`.`,
    );
}

/** Null where there is none. */
function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw new UsageError(`${file} cannot be read: ${(error as Error).message}.`, { cause: error });
  }
}

function write(out: string, file: string, text: string): void {
  try {
    mkdirSync(out, { recursive: true });
    writeFileSync(file, text);
  } catch (cause) {
    throw new UsageError(
      `${out} takes no file: ${(cause as Error).message}. Name another directory with --out.`,
      { cause },
    );
  }
}
