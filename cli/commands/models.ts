import type { ModelHistory, VersionState } from '../../infrastructure/registry/history.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { modelCard } from '../../models/card.ts';
import { versionOf } from '../../pipelines/rollout/moves.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { floorTo, SECOND } from '../../schemas/time.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { instant, shortened } from '../format.ts';
import { readable, registryOf, versionArgument } from '../model-registry.ts';
import type { Output } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';
import { addModelsImport } from './models-import.ts';
import { registerMoves } from './models-moves.ts';
import { modelOf } from './predictions.ts';

export const registerModels: Register = (program, run) => {
  const group = program
    .command('models')
    .description('versions of the models: what each is, since when, why; and changing it by hand')
    .option('--model <name>', 'default: all that the registry knows')
    .addHelpText(
      'after',
      examples(
        ['millrace models', 'all versions'],
        ['millrace models --json', 'with the evidence each rests on'],
        ['millrace models show 3', 'all about version 3'],
        ["millrace models promote 3 --reason 'reviewed with the team'", 'let it score from now on'],
        ["millrace models rollback --reason 'scores look wrong'", 'bring the one before back'],
      ),
    )
    .action(run(list));
  group
    .command('ls')
    .description('all versions, as millrace models alone shows them')
    .option('--model <name>', 'default: all that the registry knows')
    .addHelpText('after', examples(['millrace models ls', 'all versions']))
    .action(
      run((context: CommandContext, options: { readonly model?: string }) =>
        list(context, { ...group.opts<{ model?: string }>(), ...options }),
      ),
    );
  group
    .command('show')
    .argument('<version>', 'number, as millrace models lists it', versionArgument)
    .description('one version: its model card, its figures, and every change with its reason')
    .option('--model <name>', "default: the project's only one")
    .addHelpText(
      'after',
      examples(
        ['millrace models show 2', 'as a page'],
        ['millrace models show 2 --json', 'manifest and history as JSON'],
      ),
    )
    .action(
      run((context: CommandContext, version: number, options: { readonly model?: string }) =>
        show(context, version, { ...group.opts<{ model?: string }>(), ...options }),
      ),
    );
  registerMoves(group, run);
  addModelsImport(group, run);
};

async function list(context: CommandContext, options: { readonly model?: string }): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const wanted = options.model === undefined ? null : modelOf(project, options.model).name;
  const platform = openPlatform(context, project);
  try {
    const registry = await registryOf(platform, project.prefix);
    const histories = (await registry.histories()).filter(({ model }) => wanted === null || model === wanted);
    if (output.isJson)
      return output.json(
        histories.flatMap(({ versions }) => versions.map((one) => ({ ...one, since: readable(one.since) }))),
      );
    if (histories.length === 0) return output.line('No model was trained yet: millrace train.');
    const many = histories.length > 1;
    output.table(
      [
        ...(many ? [{ title: 'model' }] : []),
        { title: 'version', align: 'right' },
        { title: 'state' },
        { title: 'from event time' },
        { title: 'said' },
        { title: 'by' },
        { title: 'why' },
      ],
      histories.flatMap(({ versions }) =>
        versions.map((one) => [
          ...(many ? [one.model] : []),
          String(one.version),
          stateText(one, output),
          one.state === 'candidate' ? '-' : fromText(one.since),
          instant(floorTo(one.since.at, SECOND)),
          one.since.by,
          shortened(whyOf(one), LONGEST),
        ]),
      ),
    );
  } finally {
    await platform.close();
  }
}

function stateText({ state, guards }: VersionState, { colours }: Output): string {
  if (state === 'champion') return colours.green(state);
  if (state === 'challenger')
    return colours.yellow(guards === null ? 'challenger' : `guards version ${guards}`);
  return state;
}

const fromText = ({ effectiveFrom }: ModelVersion) =>
  effectiveFrom === null ? 'at once' : instant(effectiveFrom);

/** Of a version that another's promotion made what it is, in its own words. */
function whyOf({ version, state, since }: VersionState): string {
  if (since.version === version) return since.reason;
  return `version ${since.version} took over${state === 'challenger' ? '; scored beside it as its guard' : ''}: ${since.reason}`;
}

const LONGEST = 120;

async function show(
  context: CommandContext,
  version: number,
  options: { readonly model?: string },
): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const model = modelOf(project, options.model);
  const platform = openPlatform(context, project);
  try {
    const registry = await registryOf(platform, project.prefix);
    const history = await registry.history(model.name);
    const found = versionOf(history, version);
    const changes = changesOf(history, version);
    const artefact = parseArtefact(await platform.artefacts.get(found.artefact), found.artefact);
    if (output.isJson)
      return output.json({
        ...found,
        since: readable(found.since),
        registered: readable(found.registered),
        manifest: artefact.manifest,
        changes: changes.map(readable),
      });
    output.line(
      `Version ${version} of ${model.name} is ${stateText(found, output)}${found.layout === model.layoutHash ? '' : ', of another feature layout than the project declares now'}.`,
    );
    output.line();
    output.line(modelCard(artefact, found.artefact).trimEnd());
    output.line();
    output.line('## What became of it');
    output.table(
      [
        { title: 'change', align: 'right' },
        { title: 'said' },
        { title: 'to' },
        { title: 'from event time' },
        { title: 'by' },
        { title: 'why' },
      ],
      changes.map((one) => [
        String(one.change),
        instant(floorTo(one.at, SECOND)),
        one.version === version ? one.state : `${one.former ?? 'retired'}, by version ${one.version}`,
        fromText(one),
        one.by,
        one.reason,
      ]),
    );
  } finally {
    await platform.close();
  }
}

/** Changes of a version, and the promotions of others that it gave way to. */
function changesOf({ changes }: ModelHistory, version: number): readonly ModelVersion[] {
  let champion = 0;
  return changes.filter((change) => {
    const before = champion;
    if (change.state === 'champion') champion = change.version;
    return change.version === version || (change.state === 'champion' && before === version);
  });
}
