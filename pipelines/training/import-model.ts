import { createHash } from 'node:crypto';
import type { VersionState } from '../../infrastructure/registry/history.ts';
import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import { type Artefact, addressOf, serialiseArtefact } from '../../models/artefact.ts';
import { parseExamples } from '../../models/onnx/examples.ts';
import { type ImportedModel, importOnnx } from '../../models/onnx/import.ts';
import { expressionsOf } from '../../schemas/layout.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { registerVersion } from '../rollout/moves.ts';
import type { ArtefactSink } from './training.ts';

export interface ImportModelOptions {
  readonly project: Project;
  readonly model: Model;
  /** An ONNX file, and what recorded examples say of it (see `parseExamples`). */
  readonly onnx: Uint8Array;
  readonly examples: string;
  readonly artefacts: ArtefactSink;
  readonly registry: ModelRegistry;
  readonly by: string;
  readonly codeVersion: string;
}

export interface ImportModelReport {
  readonly version: VersionState;
  readonly artefact: Artefact;
  readonly address: string;
  readonly imported: Omit<ImportedModel, 'body' | 'calibration'>;
}

/**
 * A model from elsewhere becomes a candidate: read, checked against its examples, kept, registered. The same file and
 * declarations give the same artefact.
 *
 * @throws OnnxError where the file is none, cannot be scored here, or scores other than was recorded.
 */
export async function importModel(options: ImportModelOptions): Promise<ImportModelReport> {
  const { project, model, onnx } = options;
  const features = model.features.map(({ name }) => name);
  const found = importOnnx(onnx, { features, examples: parseExamples(options.examples, features) });
  const { body, calibration, ...imported } = found;
  const file = createHash('sha256').update(onnx).digest('hex');
  const artefact: Artefact = {
    manifest: {
      model: model.name,
      task: model.task,
      features,
      expressions: { ...expressionsOf(model.features) },
      layoutHash: model.layoutHash,
      threshold: model.threshold,
      importance: [...imported.importance],
      trainer: {
        name: 'onnx',
        backend: imported.producer,
        parameters: { file, examples: imported.examples, ...prefixed('opset', imported.opsets) },
        epochs: 0,
        bestEpoch: 0,
        engineDifference: imported.difference,
      },
      dataset: null,
      metrics: { validation: null, test: null, baseRate: null, calendar: null },
      codeVersion: options.codeVersion,
      createdFrom: project.hash,
      asOf: 0,
      card: {
        purpose: `Answers \`${model.name}\` for each ${model.request.eventType} of ${model.request.source}, from ${features.length} features.`,
        limits:
          'Trained elsewhere and imported: the rows that it learnt from are not known here. It scores as it did there on the examples that came with it.',
      },
    },
    body,
    calibration,
  };
  const bytes = serialiseArtefact(artefact);
  const { location } = await options.artefacts.put(bytes);
  const address = addressOf(bytes);
  const { version } = await registerVersion(
    options.registry,
    { model: model.name, artefact: address, location, layout: model.layoutHash, as: 'candidate' },
    {
      by: options.by,
      reason: `imported from ONNX by ${imported.producer}, checked on ${imported.examples} recorded examples`,
      evidence: { examples: imported.examples, difference: imported.difference, file },
    },
  );
  return { version, artefact, address, imported };
}

const prefixed = (prefix: string, values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
