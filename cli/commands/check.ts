import { describeProject, type ProjectDescription, type ViewDescription } from '../../config/check.ts';
import { examples, type Register } from '../command.ts';
import { bytes, count } from '../format.ts';
import { openProject } from '../open-project.ts';
import type { Output } from '../output.ts';

export const registerCheck: Register = (program, run) => {
  program
    .command('check')
    .description(
      'is the project right? Names every mistake with its place and its mend; exit code 2 if there is one',
    )
    .addHelpText(
      'after',
      examples(
        ['millrace check', 'the flights project'],
        ['millrace check --project docs/examples/payments', 'another one'],
        ['millrace check --json', 'windows, hops and sizes for programs'],
      ),
    )
    .action(
      run(async (context) => {
        const description = describeProject(openProject(context));
        if (context.output.isJson) context.output.json(description);
        else print(description, context.output);
      }),
    );
};

function print(project: ProjectDescription, output: Output): void {
  const { bold, dim, green, yellow } = output.colours;
  output.line(`${green('✓')} ${bold(project.name)} is right ${dim(`(prefix ${project.prefix})`)}`);
  output.line();
  output.table(
    [
      { title: 'source' },
      { title: 'partitions', align: 'right' },
      { title: 'fields', align: 'right' },
      { title: 'idle after', align: 'right' },
      { title: 'repeats' },
      { title: 'events' },
    ],
    project.sources.map(({ name, partitions, fields, idleAfter, deduplicate, events }) => [
      name,
      count(partitions),
      count(fields),
      idleAfter,
      deduplicate === null ? 'count again' : `refused for ${deduplicate.within}, ${bytes(deduplicate.bytes)}`,
      events.join(', '),
    ]),
  );
  output.line();
  output.table(
    [
      { title: 'view' },
      { title: 'entity' },
      { title: 'partitions', align: 'right' },
      { title: 'features', align: 'right' },
      { title: 'an entity at worst', align: 'right' },
      { title: '', align: 'right' },
      { title: 'kept for a model that is behind', align: 'right' },
    ],
    project.views.map((view) => [
      view.id,
      view.entity.join(', '),
      count(view.partitions),
      count(view.features),
      `${count(view.worstTiles)} tiles`,
      bytes(view.worstBytes),
      `${view.hold.time}, ${bytes(view.hold.bytes)} at most`,
    ]),
  );
  output.line();
  output.table(
    [
      { title: 'view' },
      { title: 'features' },
      { title: 'window', align: 'right' },
      { title: 'hop', align: 'right' },
      { title: 'longer by at most', align: 'right' },
    ],
    project.views.flatMap((view) =>
      view.windows.map(({ set, length, hop, edgePercent }) => [
        view.id.split('@')[0] ?? '',
        featuresOf(view, set),
        length,
        hop,
        edgePercent === 0 ? 'exact' : `${edgePercent} %`,
      ]),
    ),
  );
  output.line();
  output.table(
    [
      { title: 'model' },
      { title: 'features', align: 'right' },
      { title: 'reads', align: 'right' },
      { title: 'layout' },
    ],
    project.models.map(({ name, features, reads, layoutHash }) => [
      name,
      count(features),
      count(reads),
      layoutHash.slice(0, 12),
    ]),
  );
  output.line();
  output.line(
    dim(`A flush of ingest costs at most ${count(project.recordsPerFlush)} records on the view topics.`),
  );
  for (const remark of project.remarks) output.line(dim(remark));
  for (const warning of project.warnings) output.line(`${yellow('warning:')} ${warning}`);
}

/** Sketches have steps of time of their own, so a view may have two rows for one window. */
function featuresOf({ windows }: ViewDescription, set: ViewDescription['windows'][number]['set']): string {
  if (set === 'sketches') return 'distinct, quantile';
  return windows.some((window) => window.set === 'sketches') ? 'others' : 'all';
}
