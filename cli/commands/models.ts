import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { instant } from '../format.ts';
import { openPlatform, openProject } from '../project.ts';

export const registerModels: Register = (program, run) => {
  program
    .command('models')
    .argument('[model]', 'one model; default: all')
    .description('versions of the models, what each is now, and why')
    .addHelpText(
      'after',
      examples(
        ['millrace models', 'all versions'],
        ['millrace models --json', 'with the evidence each rests on'],
      ),
    )
    .action(run(list));
};

async function list(context: CommandContext, model: string | undefined): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    const { models: codec } = await platform.codecs();
    const registry = createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix });
    const versions = await registry.list(model);
    if (output.isJson)
      return output.json(
        versions.map((version) => ({ ...version, evidence: parsed(version.since.evidence) })),
      );
    if (versions.length === 0) return output.line('No model was trained yet: millrace train.');
    output.table(
      [
        { title: 'model' },
        { title: 'version', align: 'right' },
        { title: 'state' },
        { title: 'since' },
        { title: 'artefact' },
        { title: 'by' },
        { title: 'reason' },
      ],
      versions.map((version) => [
        version.model,
        String(version.version),
        version.state === 'champion' ? output.colours.green(version.state) : version.state,
        instant(version.since.at),
        version.artefact.slice(0, 12),
        version.since.by,
        version.since.reason,
      ]),
    );
  } finally {
    await platform.close();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
