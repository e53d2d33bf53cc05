import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { type LookUp, lookUp } from '../../streams/explain/look-up.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { entityOf, readKey } from '../entity-options.ts';
import { UsageError } from '../errors.ts';
import { duration, instant } from '../format.ts';
import { instantOption, zoneOption } from '../options.ts';
import type { Output } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly view?: string;
  readonly at?: number;
  readonly zone?: string;
}

export const registerFeatures: Register = (program, run) => {
  const group = program.command('features').description('features of entities');
  group
    .command('get')
    .argument(
      '<key...>',
      `fields of the entity: origin=ORD destination=LGA, or one JSON object: '{"origin": "ORD"}'`,
    )
    .description('what is known of an entity, at the newest exact time or at a time of the past')
    .option('--view <name>', 'one view; default: every view with this entity')
    .option('--at <time>', 'as a request at this event time would see it', instantOption)
    .option(
      '--zone <zone>',
      'local clock of periodic features, e.g. America/Chicago (default: UTC)',
      zoneOption,
    )
    .addHelpText(
      'after',
      examples(
        ['millrace features get origin=ORD', 'an airport now'],
        ['millrace features get origin=ORD destination=LGA --zone America/Chicago', 'a route'],
        [
          'millrace features get origin=ORD --at 2001-04-01T15:00Z',
          'then; older than what is kept: from the archive',
        ],
      ),
    )
    .action(run(get));
};

async function get(context: CommandContext, parts: string[], options: Options): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const wanted = viewsOf(project, readKey(parts), options.view);
  const platform = openPlatform(context, project);
  try {
    const found: LookUp[] = [];
    for (const { view, entity } of wanted)
      found.push(
        await lookUp(
          { project, store: platform.store, warehouse: platform.warehouse },
          { view, entity, time: options.at ?? null, zone: options.zone ?? null },
        ),
      );
    if (output.isJson) output.json(found.length === 1 ? found[0] : found);
    else for (const one of found) printLookUp(one, output);
  } finally {
    await platform.close();
  }
}

/** Views whose entity is made of just these fields. */
function viewsOf(
  project: Project,
  key: ReadonlyMap<string, string>,
  name: string | undefined,
): Array<{ view: View; entity: string }> {
  const views = project.views.filter(
    (view) =>
      (name === undefined || view.name === name) &&
      view.entity.length === key.size &&
      view.entity.every((field) => key.has(field)),
  );
  if (views.length === 0) {
    const known = project.views.map((view) => `${view.name} (${view.entity.join(', ')})`).join('; ');
    throw new UsageError(
      `No view${name === undefined ? '' : ` '${name}'`} has the entity ${[...key.keys()].join(', ')}; there are: ${known}.`,
    );
  }
  return views.map((view) => ({ view, entity: entityOf(project, view, key) }));
}

export function printLookUp(found: LookUp, output: Output): void {
  const { bold, dim } = output.colours;
  output.line(
    `${bold(`${found.view} ${found.entity}`)} as of ${instant(found.asOf)} ${dim(`(${duration(found.ageMs)} before the request at ${instant(found.time)}; source: ${found.source})`)}`,
  );
  const values = Object.values(found.features);
  if (values.every((value) => value === null || value === 0))
    output.line(
      dim(`  nothing is known of it: no event with this key lies in any window. Is the key right?`),
    );
  output.table(
    [{ title: '' }, { title: '', align: 'right' }],
    Object.entries(found.features).map(([name, value]) => [
      `  ${name}`,
      value === null ? dim('null') : number(value),
    ]),
  );
}

const number = (value: number) => (Number.isInteger(value) ? String(value) : value.toPrecision(6));
