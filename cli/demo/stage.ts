import { removeTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import { isUsed } from '../../infrastructure/local/lease.ts';
import { alive, startOf } from '../../infrastructure/local/processes.ts';
import { currentStack, down } from '../../infrastructure/local/stack.ts';
import { openHistory } from '../../infrastructure/readers/open.ts';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { openTwins, type Platform } from '../../platform/platform.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { applyProject, removeProject } from '../../streams/apply/apply.ts';
import { removeSchemas } from '../../streams/apply/declared-schemas.ts';
import type { CommandContext } from '../command.ts';
import { applyDeps, countChanges } from '../commands/apply.ts';
import { modelOf } from '../commands/predictions.ts';
import { type Current, readCurrent, writeCurrent } from '../current.ts';
import { count } from '../format.ts';
import { historyOf } from '../histories.ts';
import { artefactDirectory, openPlatform, openProject, projectDirectory } from '../project.ts';
import { stackDirectory, startLocalStack } from '../stack.ts';
import { serveConsole } from './console.ts';
import { SAMPLE_ROWS } from './plan.ts';
import { aborted } from './processes.ts';

/** What every step of the demo works on. */
export interface Stage {
  readonly context: CommandContext;
  readonly project: Project;
  readonly source: Source;
  readonly model: Model;
  readonly platform: Platform;
  readonly file: HistoryFile;
}

export type Closing = () => Promise<unknown>;

export interface Prepared extends Stage {
  /** Of the console, or of the API where no console was built; null where neither answers. */
  readonly watchUrl: string | null;
  /** When the servers were up, ms of this process's monotonic clock. */
  readonly upAt: number;
}

/** Servers, a fresh prefix, topics, schemas, tables, the console, and the file of flights. What is opened is added to `closing`. */
export async function prepare(
  context: CommandContext,
  embedded: boolean,
  closing: Closing[],
): Promise<Prepared> {
  const { output, environment } = context;
  const directory = projectDirectory(context);
  const before = readCurrent(environment.dataDirectory, directory);
  if (!embedded) refuseBeside(before);
  const stack = { dataDir: stackDirectory(context) };
  // A stack that somebody else started is used and left running; one of a demo that was killed is ours.
  const found = currentStack(stack.dataDir) !== undefined && before?.startedStack !== true;
  const prefix = `demo-${Date.now().toString(36)}`;

  const first = openProject(context, { prefix });
  const { history, source } = historyOf(first, undefined, 'import');
  // The file takes some seconds of another process: it is read while the servers start.
  const reading = openHistory(history, source, null);
  reading.catch(() => {});
  if (!embedded) {
    if (!found) closing.push(async () => (isUsed(stack.dataDir) ? undefined : down(stack)));
    await startLocalStack(context);
  }
  // The prefix is written down before anything carries it, so that a killed demo is cleaned up by the next one.
  if (!embedded)
    writeCurrent(environment.dataDirectory, directory, {
      prefix,
      since: Date.now(),
      startedStack: !found,
      process: thisProcess(),
    });
  const project = openProject(context, { prefix });
  const artefacts = artefactDirectory(context);
  const platform = embedded ? await openTwins(project, { artefacts }) : openPlatform(context, project);
  closing.push(() => platform.close());
  const upAt = performance.now();

  if (!embedded && before !== undefined) {
    const removing = output.progress('demo before');
    const removed = await removeProject(before.prefix, before.prefix, {
      kafka: platform.kafka,
      store: platform.store,
      removeSchemas: (subjects) => removeSchemas(platform.registry, subjects),
      removeTables: (of) => removeTables(platform.warehouse, of),
    });
    removing.done(
      `${count(removed.topics)} topics, ${count(removed.keys)} keys, ${count(removed.tables)} tables removed`,
    );
  }
  const applying = output.progress('topics, schemas, tables');
  applying.done(`${countChanges(await applyProject(applyDeps(project, platform)))} under ${prefix}`);
  const watchUrl = await serveConsole({ context, project, platform }, embedded, closing);
  const waiting = output.progress('flights');
  const file = await Promise.race([reading, aborted(context.signal)]);
  waiting.done(`${count(file.rows)} rows, ${count(file.duplicates)} exact duplicates left out`);
  const declared = modelOf(project, undefined);
  const maxRows = Math.min(declared.sample.maxRows, SAMPLE_ROWS);
  const model: Model = { ...declared, sample: { ...declared.sample, maxRows } };
  const own = project.sources.find(({ name }) => name === source.name) ?? source;
  return { context, project, source: own, model, platform, file, watchUrl, upAt };
}

export class DemoRuns extends MillraceError {
  readonly code = 'demo_runs';
  readonly retriable = false;
}

/** Two demos on one stack would take each other's servers and topics away. */
function refuseBeside(before: Current | undefined): void {
  if (before?.process === undefined || !alive(before.process)) return;
  throw new DemoRuns(
    `A demo runs here already (process ${before.process.pid}, prefix ${before.prefix}): end it with Ctrl-C first, or give this one a directory of its own with MILLRACE_DATA.`,
  );
}

const thisProcess = () => ({ pid: process.pid, started: startOf(process.pid) ?? '' });
