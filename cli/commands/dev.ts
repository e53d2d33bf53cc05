import { once } from 'node:events';
import { createServer } from 'node:net';
import { joinStack, type Lease } from '../../infrastructure/local/lease.ts';
import { down } from '../../infrastructure/local/stack.ts';
import type { Project } from '../../schemas/project.ts';
import { applyProject } from '../../streams/apply/apply.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { consoleDirectoryOf } from '../console-files.ts';
import { afterChange } from '../dev/after-change.ts';
import { Children, type Service, servicesOf } from '../dev/children.ts';
import { watchProject } from '../dev/watch.ts';
import { describeFailure } from '../errors.ts';
import { counted } from '../format.ts';
import { wholeOption } from '../options.ts';
import { endWithShell } from '../parent.ts';
import { openPlatform, openProject, projectDirectory } from '../project.ts';
import { startLocalStack } from '../stack.ts';
import { applyDeps, countChanges } from './apply.ts';

interface Options {
  readonly stack: boolean;
  readonly apiPort: number;
}

export const registerDev: Register = (program, run) => {
  program
    .command('dev')
    .description(
      'work on a project: local stack, apply, every stream and the HTTP API; what changes in its YAML is applied; Ctrl-C ends all',
    )
    .option(
      '--api-port <port>',
      'of the HTTP API, on this machine alone; 0 = a free one',
      wholeOption(0),
      8420,
    )
    .option('--no-stack', 'use the servers that connections.yaml names, and start none')
    .addHelpText(
      'after',
      examples(
        ['millrace dev', 'in the directory of a project'],
        ['millrace dev --no-stack', 'on servers of your own'],
      ),
    )
    .action(run(dev));
};

async function dev(given: CommandContext, options: Options): Promise<void> {
  const context = { ...given, signal: endWithShell(given.signal, given.environment.variables) };
  const { environment, output, signal } = context;
  const directory = projectDirectory(context);
  // What is wrong is told before anything is started.
  openProject(context);
  await mustBeFree(LOOPBACK, options.apiPort);
  const lease = options.stack ? joinStack(environment.stackDirectory) : null;
  let children: Children | null = null;
  try {
    if (lease !== null) await startLocalStack(context);
    const project = openProject(context);
    await apply(context, project);
    children = new Children(environment, project, output.warn);
    const services = servicesOf(options.apiPort);
    await start(context, project, children, services);
    const own = children;
    let running = project;
    const onChange = async () => {
      running = await change(context, own, services, running);
    };
    await watchProject(directory, onChange, signal);
  } finally {
    const stopping = output.progress('stopping');
    await children?.stop();
    await leave(context, lease);
    stopping.done();
  }
}

const LOOPBACK = '127.0.0.1';

/** Throws AddressTaken where the HTTP API could not listen: its child would fail again and again. */
async function mustBeFree(host: string, port: number): Promise<void> {
  const server = createServer();
  try {
    await once(server.listen(port, host), 'listening');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    const { AddressTaken } = await import('../../api/start.ts');
    throw new AddressTaken(host, port, { cause });
  } finally {
    server.close();
  }
}

/** Throws where something stands in the way: nothing has been changed then. */
async function apply(context: CommandContext, project: Project): Promise<void> {
  const { output } = context;
  const platform = openPlatform(context, project);
  const applying = output.progress('topics, schemas, tables');
  try {
    applying.done(
      `${countChanges(await applyProject(applyDeps(project, platform)))} under ${project.prefix}`,
    );
  } catch (error) {
    applying.fail();
    throw error;
  } finally {
    await platform.close();
  }
}

async function start(
  context: CommandContext,
  project: Project,
  children: Children,
  services: readonly Service[],
): Promise<void> {
  const { output, signal } = context;
  const starting = output.progress(services.map(({ name }) => name).join(', '));
  const ready = await children.start(services, signal);
  const url = ready.find((one) => one.url !== undefined)?.url ?? null;
  if (signal.aborted) {
    starting.fail();
    return;
  }
  starting.done('running');
  if (output.isJson) output.json({ event: 'running', prefix: project.prefix, hash: project.hash, url });
  else
    output.note(
      `${project.name} runs: ${counted(project.sources.length, 'source')}, ${counted(project.views.length, 'view')}, ${counted(project.models.length, 'model')}.${url === null ? '' : `${consoleDirectoryOf(context) === null ? '' : ` Console at ${url}/console/.`} HTTP API at ${url}, without keys, for this machine alone.`} Change its YAML and it is applied; Ctrl-C ends all.`,
    );
}

/** The project that runs then. One that does not check, or cannot be applied, changes nothing: what ran goes on. */
async function change(
  context: CommandContext,
  children: Children,
  services: readonly Service[],
  before: Project,
): Promise<Project> {
  const { environment, output } = context;
  try {
    const project = openProject(context);
    await apply(context, project);
    await children.stop();
    await start(context, project, children, services);
    if (!output.isJson) for (const sentence of afterChange(before, project)) output.note(sentence);
    return project;
  } catch (error) {
    const { code, message } = describeFailure(error, environment.debug);
    if (output.isJson) output.json({ event: 'refused', error: { code, message } });
    output.error(message);
    output.note('What ran before goes on.');
    return before;
  }
}

async function leave({ environment, output }: CommandContext, lease: Lease | null): Promise<void> {
  if (lease === null) return;
  if (lease.leave()) await down({ dataDir: environment.stackDirectory });
  else output.note('The local stack stays: another command started it or uses it. `millrace down` stops it.');
}
