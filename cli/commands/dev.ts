import { joinStack, type Lease } from '../../infrastructure/local/lease.ts';
import { down } from '../../infrastructure/local/stack.ts';
import type { Project } from '../../schemas/project.ts';
import { applyProject } from '../../streams/apply/apply.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { Children, SERVICES } from '../dev/children.ts';
import { watchProject } from '../dev/watch.ts';
import { describeFailure } from '../errors.ts';
import { openPlatform, openProject, projectDirectory } from '../project.ts';
import { startLocalStack } from '../stack.ts';
import { applyDeps, countChanges } from './apply.ts';

interface Options {
  readonly stack: boolean;
}

export const registerDev: Register = (program, run) => {
  program
    .command('dev')
    .description(
      'work on a project: local stack, apply and every stream; what changes in its YAML is applied; Ctrl-C ends all',
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

async function dev(context: CommandContext, options: Options): Promise<void> {
  const { environment, output, signal } = context;
  const directory = projectDirectory(context);
  // What is wrong is told before anything is started.
  openProject(context);
  const lease = options.stack ? joinStack(environment.stackDirectory) : null;
  let children: Children | null = null;
  try {
    if (lease !== null) await startLocalStack(context);
    const project = openProject(context);
    await apply(context, project);
    children = new Children(environment, project, output.warn);
    await start(context, project, children);
    const own = children;
    await watchProject(directory, () => change(context, own), signal);
  } finally {
    const stopping = output.progress('stopping');
    await children?.stop();
    await leave(context, lease);
    stopping.done();
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

async function start(context: CommandContext, project: Project, children: Children): Promise<void> {
  const { output, signal } = context;
  const starting = output.progress(SERVICES.map(({ name }) => name).join(', '));
  await children.start(SERVICES, signal);
  if (signal.aborted) {
    starting.fail();
    return;
  }
  starting.done('running');
  if (output.isJson) output.json({ event: 'running', prefix: project.prefix, hash: project.hash });
  else
    output.note(
      `${project.name} runs: ${project.sources.length} sources, ${project.views.length} views, ${project.models.length} models. Change its YAML and it is applied; Ctrl-C ends all.`,
    );
}

/** A project that does not check, or cannot be applied, changes nothing: what ran goes on. */
async function change(context: CommandContext, children: Children): Promise<void> {
  const { environment, output } = context;
  try {
    const project = openProject(context);
    await apply(context, project);
    await children.stop();
    await start(context, project, children);
  } catch (error) {
    const { code, message } = describeFailure(error, environment.debug);
    if (output.isJson) output.json({ event: 'refused', error: { code, message } });
    output.error(message);
    output.note('What ran before goes on.');
  }
}

async function leave({ environment, output }: CommandContext, lease: Lease | null): Promise<void> {
  if (lease === null) return;
  if (lease.leave()) await down({ dataDir: environment.stackDirectory });
  else output.note('The local stack stays: another command started it or uses it. `millrace down` stops it.');
}
