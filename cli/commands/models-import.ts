import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { shapeOf } from '../../models/body.ts';
import { importModel } from '../../pipelines/training/import-model.ts';
import { type CommandContext, examples, type Runner } from '../command.ts';
import { UsageError } from '../errors.ts';
import { openPlatform, openProject } from '../project.ts';
import { codeVersion } from '../version.ts';
import { modelOf } from './predictions.ts';

interface Options {
  readonly model?: string;
  readonly examples: string;
}

/** Adds `import` to the command `models`. */
export function addModelsImport(models: Command, run: Runner): void {
  models
    .command('import')
    .argument('<file>', 'an ONNX file: trees of LightGBM or XGBoost, a random forest, a simple network')
    .description('a model trained elsewhere becomes a candidate, once it scores as it did there')
    .option('--model <name>', "default: the project's only one")
    .requiredOption(
      '--examples <file>',
      'at least 10 recorded examples, JSON lines of {"vector": [...], "score": 0.25}',
    )
    .addHelpText(
      'after',
      examples(
        ['millrace models import late.onnx --examples late.jsonl', 'registered as a candidate'],
        ['millrace models', 'all versions and what each is now'],
      ),
    )
    // An option that the group knows too is taken by the group, wherever it stands.
    .action(
      run((context: CommandContext, path: string, options: Options) =>
        importCommand(context, path, { ...models.opts<Partial<Options>>(), ...options }),
      ),
    );
}

async function importCommand(context: CommandContext, path: string, options: Options): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const model = modelOf(project, options.model);
  const onnx = bytesOf(path);
  const text = bytesOf(options.examples).toString('utf8');
  const platform = openPlatform(context, project);
  try {
    const { models: codec } = await platform.codecs();
    const { version, artefact, address, imported } = await importModel({
      project,
      model,
      onnx,
      examples: text,
      artefacts: platform.artefacts,
      registry: createModelRegistry({ kafka: platform.kafka, codec, prefix: project.prefix }),
      by: 'millrace models import',
      codeVersion: codeVersion(context.environment.packageDirectory),
    });
    if (output.isJson) return output.json({ version, address, imported });
    output.line(
      `${model.name} version ${version.version} is ${version.state}: ${shapeOf(artefact.body)}, by ${imported.producer}, artefact ${address.slice(0, 12)}`,
    );
    output.line(
      `${imported.examples} recorded examples score as they did there, the worst ${imported.difference.toExponential(1)} apart`,
    );
  } finally {
    await platform.close();
  }
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
