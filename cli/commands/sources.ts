import { readPauses, resumeSource, sentenceOf } from '../../streams/ingest/pause.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { openPlatform, openProject } from '../project.ts';
import { sourcesOf } from '../sources.ts';

interface ResumeOptions {
  readonly note?: string;
}

export const registerSources: Register = (program, run) => {
  const group = program
    .command('sources')
    .description('sources that are paused, since too many of their records were refused');
  group
    .command('ls')
    .description('each source, and whether it is paused')
    .addHelpText('after', examples(['millrace sources ls', 'which are paused, and why']))
    .action(run(list));
  group
    .command('resume')
    .argument('<source>', 'the source that is to be read on')
    .description('read a paused source on, as it is declared; ingest goes on within a second')
    .option('--note <text>', 'why; it stands in the alert that is over')
    .addHelpText(
      'after',
      examples(["millrace sources resume payments --note 'the producer is mended'", 'count refusals anew']),
    )
    .action(run(resume));
};

async function list(context: CommandContext): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    const names = project.sources.map(({ name }) => name);
    const pauses = await readPauses({ project, store: platform.store }, names);
    if (output.isJson) {
      output.json(names.map((source) => ({ source, paused: pauses.get(source) ?? null })));
      return;
    }
    for (const name of names) {
      const pause = pauses.get(name);
      output.line(pause === undefined ? `${name} is not paused.` : sentenceOf(name, pause));
    }
  } finally {
    await platform.close();
  }
}

async function resume(context: CommandContext, name: string, { note }: ResumeOptions): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const [source = name] = sourcesOf(project, name);
  const platform = openPlatform(context, project);
  try {
    const { kafka, store, clock } = platform;
    const { USER, USERNAME } = context.environment.variables;
    const who = USER ?? USERNAME ?? 'somebody';
    const why = `${note ?? 'no reason was given'} (${who}, by hand)`;
    const pause = await resumeSource(
      { project, kafka, store, clock, codecs: await platform.codecs() },
      source,
      why,
    );
    if (output.isJson) output.json({ source, resumed: pause !== null });
    else
      output.line(
        pause === null
          ? `${source} is not paused.`
          : `${source} is read on within a second; refusals count anew.`,
      );
  } finally {
    await platform.close();
  }
}
