import { Option } from 'commander';
import { ACCEPT_FROM, type AcceptFrom, acceptTopic } from '../../streams/ingest/accept-topic.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult, UsageError } from '../errors.ts';
import { count } from '../format.ts';
import { openPlatform, openProject } from '../project.ts';
import { sourcesOf } from '../sources.ts';

interface Options {
  readonly from?: AcceptFrom;
}

export const registerTopics: Register = (program, run) => {
  program
    .command('topics')
    .description('raw topics that were deleted and made again, or restored')
    .command('accept')
    .argument('<source>', 'the source whose raw topic is another one now')
    .description('decide from where ingest reads it on; ingest may run, and goes on within a second')
    .addOption(
      new Option(
        '--from <place>',
        'start: all that it holds is new; end: only what comes from now on',
      ).choices([...ACCEPT_FROM]),
    )
    .addHelpText(
      'after',
      examples(
        [
          'millrace topics accept payments --from start',
          'the topic was made again, empty, and all in it came since',
        ],
        [
          'millrace topics accept payments --from end',
          'it was restored from a copy, and holds what was read before',
        ],
      ),
    )
    .action(run(accept));
};

async function accept(context: CommandContext, name: string, { from }: Options): Promise<void> {
  const { output } = context;
  if (from === undefined) throw new UsageError('Say --from start or --from end: nobody else can know.');
  const project = openProject(context);
  const [source = name] = sourcesOf(project, name);
  const platform = openPlatform(context, project);
  try {
    const { kafka, store, clock } = platform;
    const partitions = await acceptTopic({ project, kafka, store, clock }, source, from);
    if (output.isJson) output.json({ source, from, partitions });
    else
      for (const { partition, action, offset, countedAs } of partitions)
        output.line(
          action === 'kept'
            ? `partition ${partition}: is the topic that was read, nothing to decide`
            : action === 'busy'
              ? `partition ${partition}: ingest set it at the same time; run the command again`
              : `partition ${partition}: read on from offset ${count(offset)}, which counts as ${count(countedAs)}`,
        );
    if (partitions.some(({ action }) => action === 'busy')) throw new FailedResult();
  } finally {
    await platform.close();
  }
}
