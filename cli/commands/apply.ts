import { declaredTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { applyProject, planProject } from '../../streams/apply/apply.ts';
import type { Change } from '../../streams/apply/change.ts';
import { declaredSchemas } from '../../streams/apply/declared-schemas.ts';
import { declaredDefinition } from '../../streams/apply/definitions.ts';
import { examples, type Register } from '../command.ts';
import { FailedResult } from '../errors.ts';
import { count, counted } from '../format.ts';
import type { Output } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';

interface Options {
  readonly dryRun?: boolean;
}

export const registerApply: Register = (program, run) => {
  program
    .command('apply')
    .description(
      'make topics, schemas and tables of the project where they are missing; topics that keep producer times get the broker’s',
    )
    .option('--dry-run', 'only show what would change; exit code 1 where something stands in the way')
    .addHelpText(
      'after',
      examples(
        ['millrace apply --dry-run', 'what would change?'],
        ['millrace apply', 'a second time it changes nothing'],
        ['millrace apply --prefix try1', 'the same project once more, beside the first'],
      ),
    )
    .action(
      run(async (context, options: Options) => {
        const { output } = context;
        const project = openProject(context);
        const platform = openPlatform(context, project);
        try {
          const deps = applyDeps(project, platform);
          const changes = options.dryRun ? await planProject(deps) : await applyProject(deps);
          if (output.isJson)
            output.json({ prefix: project.prefix, dryRun: options.dryRun ?? false, changes });
          else printChanges(changes, output, options.dryRun ?? false);
          if (changes.some(({ action }) => action === 'conflict')) throw new FailedResult();
        } finally {
          await platform.close();
        }
      }),
    );
};

export const applyDeps = (project: Project, platform: Platform) => ({
  project,
  kafka: platform.kafka,
  declared: [
    declaredSchemas(platform.registry, project),
    declaredTables(platform.warehouse, project),
    declaredDefinition({ project, kafka: platform.kafka }),
  ],
});

/** `3 topics, 4 schemas` of the changes that were made, or would be. */
export function countChanges(changes: readonly Change[]): string {
  const parts = (['topic', 'schema', 'table', 'definition'] as const).flatMap((kind) => {
    const made = changes.filter(
      (change) => change.kind === kind && !['keep', 'unknown', 'foreign'].includes(change.action),
    ).length;
    return made === 0 ? [] : [counted(made, kind)];
  });
  return parts.length === 0 ? 'nothing' : parts.join(', ');
}

function printChanges(changes: readonly Change[], output: Output, dryRun: boolean): void {
  const { colours } = output;
  const marks = {
    create: colours.green('+ create'),
    update: colours.yellow('~ update'),
    keep: colours.dim('= keep'),
    conflict: colours.red('! conflict'),
    unknown: colours.yellow('? unknown'),
    foreign: colours.yellow('= yours'),
  };
  const told = changes.filter(({ action }) => action !== 'keep');
  output.table(
    [{ title: '' }, { title: '' }, { title: '' }, { title: '' }],
    told.map(({ kind, name, action, detail }) => [marks[action], kind, name, colours.dim(detail)]),
  );
  const kept = changes.length - told.length;
  if (kept > 0) output.line(colours.dim(`${count(kept)} stand as they are`));
  output.line(dryRun ? `would make ${countChanges(changes)}` : `made ${countChanges(changes)}`);
}
