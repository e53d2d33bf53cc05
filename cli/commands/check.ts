import type { Project } from '../../schemas/project.ts';
import { hopOf } from '../../schemas/time.ts';
import type { TileSet, View } from '../../schemas/view.ts';
import { examples, type Register } from '../command.ts';
import { bytes, count, percent } from '../format.ts';
import type { Output } from '../output.ts';
import { openProject } from '../project.ts';

/** Rough size of one closed tile in the online store: a time, a count, and some digits for each column. */
const TILE_BYTES = 3;
const COLUMN_BYTES = 1.5;

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
        const project = openProject(context);
        if (context.output.isJson) context.output.json(summaryOf(project));
        else printProject(project, context.output);
      }),
    );
};

function printProject(project: Project, output: Output): void {
  const { bold, dim, green } = output.colours;
  output.line(`${green('✓')} ${bold(project.name)} is right ${dim(`(prefix ${project.prefix})`)}`);
  output.line();
  output.table(
    [
      { title: 'source' },
      { title: 'key' },
      { title: 'partitions', align: 'right' },
      { title: 'late after' },
      { title: 'events' },
    ],
    project.sources.map((source) => [
      source.name,
      source.key,
      count(source.partitions),
      span(source.outOfOrderness),
      source.events.map(({ name }) => name).join(', '),
    ]),
  );
  output.line();
  output.table(
    [
      { title: 'view' },
      { title: 'entity' },
      { title: 'resolution' },
      { title: 'read delay' },
      { title: 'slack' },
      { title: 'features', align: 'right' },
      { title: 'worst tiles', align: 'right' },
      { title: 'about', align: 'right' },
    ],
    project.views.map((view) => [
      view.id,
      view.entity.join(', '),
      span(view.resolution),
      span(view.readDelay),
      span(view.slack),
      count(view.features.length),
      count(worstTiles(view)),
      bytes(worstBytes(view)),
    ]),
  );
  output.line();
  output.table(
    [{ title: 'window' }, { title: 'view' }, { title: 'hop' }, { title: 'old edge early by at most' }],
    windowsOf(project).map(({ window, view, hop, edge }) => [
      span(window),
      view,
      span(hop),
      edge === 0 ? 'exact' : `${span(edge)} (${percent(edge / window)})`,
    ]),
  );
  for (const model of project.models) {
    output.line();
    output.line(
      `${bold(model.name)} answers ${model.request.eventType} of ${model.request.source} with ${count(model.features.length)} features ${dim(`(layout ${model.layoutHash.slice(0, 12)})`)}`,
    );
  }
  output.line();
  output.line(
    dim(
      `A flush of ingest costs at most ${count(recordsAFlush(project))} block records (view partitions of all views).`,
    ),
  );
}

const worstTiles = (view: View) => view.sets.reduce((sum, { worstTiles: tiles }) => sum + tiles, 0);
const worstBytes = (view: View) => view.sets.reduce((sum, set) => sum + set.worstTiles * tileBytes(set), 0);
const tileBytes = ({ columns }: TileSet) => TILE_BYTES + columns.length * COLUMN_BYTES;
const recordsAFlush = (project: Project) =>
  project.views.reduce((sum, { partitions }) => sum + partitions, 0);

function windowsOf(project: Project) {
  return project.views.flatMap((view) =>
    view.sets.flatMap((set) =>
      set.windows.map(({ length }) => {
        const hop = hopOf(length, set.resolution);
        // A hop of the set's own resolution moves together with the head.
        return { view: view.name, window: length, hop, edge: hop === set.resolution ? 0 : hop };
      }),
    ),
  );
}

function summaryOf(project: Project) {
  return {
    name: project.name,
    prefix: project.prefix,
    hash: project.hash,
    sources: project.sources.map(({ name, partitions }) => ({ name, partitions })),
    views: project.views.map((view) => ({
      id: view.id,
      features: view.features.map(({ name }) => name),
      worstTiles: worstTiles(view),
      worstBytes: Math.round(worstBytes(view)),
    })),
    windows: windowsOf(project),
    models: project.models.map(({ name, layoutHash, features }) => ({
      name,
      layoutHash,
      features: features.map((feature) => feature.name),
    })),
    blockRecordsAFlush: recordsAFlush(project),
  };
}

/** A span of time in the words of the configuration: 1m, 13h15m, 7d. */
function span(ms: number): string {
  if (ms === 0) return '0s';
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ] as const;
  let rest = ms;
  let text = '';
  for (const [unit, size] of units) {
    const whole = Math.floor(rest / size);
    if (whole > 0) text += `${whole}${unit}`;
    rest -= whole * size;
  }
  return text;
}
