import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import type { CommandContext } from '../../../cli/command.ts';
import { applyDeps, countChanges } from '../../../cli/commands/apply.ts';
import { modelOf } from '../../../cli/commands/predictions.ts';
import type { Closing, Stage } from '../../../cli/demo/stage.ts';
import { readEnvironment } from '../../../cli/environment.ts';
import { historyOf } from '../../../cli/histories.ts';
import { createOutput } from '../../../cli/output.ts';
import { openPlatform, openProject } from '../../../cli/project.ts';
import { currentStack, down, type StackAddresses, up } from '../../../infrastructure/local/stack.ts';
import { openHistory } from '../../../infrastructure/readers/open.ts';
import type { Model } from '../../../schemas/project.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { removeStack, stackDirectory } from '../../stack-directory.ts';

export interface StageOptions {
  readonly json: boolean;
  /** Everything stays there, the servers running; null = a new directory that goes when this ends. */
  readonly keep: string | null;
  /** The directory that an earlier replay was told to keep, for its table alone. */
  readonly kept: string | null;
  /** What learns, and from how many rows at most: the January model and the pipeline alike; null = as the pipeline says. */
  readonly trainer: string | null;
  readonly trainRows: number | null;
  readonly signal: AbortSignal;
}

const PREFIX = 'weekly';
const PROJECT = 'project';

/** A stack of its own, on free ports, and the flights project on it. What is opened is added to `closing`. */
export async function openStage(options: StageOptions, closing: Closing[]): Promise<Stage> {
  const { keep, kept, signal } = options;
  const environment = readEnvironment();
  const output = createOutput(environment, options.json);
  const stays = keep ?? kept;
  // A directory that tests make is swept by their next run where this one is killed, its servers too.
  const root = stays === null ? stackDirectory() : resolve(stays);
  const stackDir = stays === null ? root : join(root, 'stack');
  if (stays === null) closing.push(() => removeStack(root));
  else if (keep !== null)
    closing.push(async () => {
      if (signal.aborted) await down({ dataDir: stackDir });
      else
        output.note(
          `All of it runs on: MILLRACE_DATA=${root} ./millrace --project ${join(root, PROJECT)} --prefix ${PREFIX} models; and down ends it`,
        );
    });
  const stack = await started(stackDir, options, output);
  const context: CommandContext = {
    environment: {
      ...environment,
      dataDirectory: stays === null ? join(root, 'run') : root,
      variables: {
        ...environment.variables,
        KAFKA_BROKERS: stack.kafka.join(','),
        REDIS_URL: stack.redis,
        REGISTRY_URL: stack.registry,
        CLICKHOUSE_URL: stack.clickhouse,
        // Nobody wants to be woken by an alert of 2001.
        MILLRACE_WEBHOOK_URL: '',
        MILLRACE_ALERTMANAGER_URL: '',
      },
    },
    output,
    project:
      kept === null
        ? ownProject(join(environment.packageDirectory, 'config'), root, options)
        : join(root, PROJECT),
    prefix: PREFIX,
    signal,
  };
  const project = openProject(context);
  const platform = openPlatform(context, project);
  closing.push(() => platform.close());
  const { history, source } = historyOf(project, undefined, 'replay');
  const reading = output.progress('flights');
  const file = await openHistory(history, source, null);
  reading.done(`${file.rows.toLocaleString('en-US')} rows`);
  if (kept === null) {
    const applying = output.progress('topics, schemas, tables');
    applying.done(countChanges(await applyProject(applyDeps(project, platform))));
  }
  return { context, project, source, model: januaryOf(project), platform, file };
}

async function started(
  dataDir: string,
  { keep, kept, signal }: StageOptions,
  output: CommandContext['output'],
): Promise<StackAddresses> {
  const running = currentStack(dataDir);
  if (kept !== null && running === undefined)
    throw new Error(`No stack runs in ${dataDir}: only what --keep kept can be looked at again.`);
  if (keep !== null && running !== undefined)
    throw new Error(`A stack runs in ${dataDir} already: choose another directory to keep this one in.`);
  const progress = output.progress('local stack');
  const stack = await up({ dataDir, mode: 'native', signal }, ({ service, phase }) =>
    progress.detail(`${service} ${phase}`),
  );
  progress.done('native processes');
  return stack;
}

/** The flights project in a directory of its own, whose pipelines learn as they are told here. */
function ownProject(config: string, root: string, { trainer, trainRows }: StageOptions): string {
  const directory = join(root, PROJECT);
  cpSync(config, directory, { recursive: true });
  const file = join(directory, 'pipelines.yaml');
  const declared = parse(readFileSync(file, 'utf8')) as { pipelines: Array<{ steps: DeclaredStep[] }> };
  for (const step of declared.pipelines.flatMap(({ steps }) => steps)) {
    if (step.step === 'dataset' && trainRows !== null) step.with = { ...step.with, max_rows: trainRows };
    if (step.step === 'train' && trainer !== null && step.trainer?.name !== trainer)
      step.trainer = { name: trainer };
  }
  writeFileSync(file, stringify(declared));
  return directory;
}

interface DeclaredStep {
  step: string;
  with?: Record<string, unknown>;
  trainer?: { name: string };
}

/** The January model learns as the pipeline does, so that what the loop gains is what learning again is worth. */
function januaryOf(project: Stage['project']): Model {
  const declared = modelOf(project, undefined);
  const steps = project.pipelines.find(({ model }) => model === declared.name)?.steps ?? [];
  const most = steps.find(({ kind }) => kind === 'dataset')?.with.max_rows;
  return {
    ...declared,
    trainer: steps.find(({ kind }) => kind === 'train')?.trainer ?? declared.trainer,
    sample: { ...declared.sample, maxRows: typeof most === 'number' ? most : declared.sample.maxRows },
  };
}
