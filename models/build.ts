import { layoutHash } from '../schemas/layout.ts';
import type { Artefact, Manifest } from './artefact.ts';
import type { TrainedModel } from './train.ts';

/** What a trained network does not know about itself. */
export interface ArtefactFacts {
  readonly model: string;
  readonly threshold: number;
  /** Name of the trainer and its parameters, as declared. */
  readonly trainer: string;
  readonly parameters: Readonly<Record<string, number | string | readonly number[]>>;
  readonly dataset: Manifest['dataset'];
  /** On rows that training never touched, with the baselines on the same rows. */
  readonly test: Pick<Manifest['metrics'], 'test' | 'baseRate' | 'calendar'>;
  readonly codeVersion: string;
  readonly createdFrom: string;
  readonly asOf: number;
  readonly card: Manifest['card'];
}

/** One artefact from what training found and what its caller knows. */
export function buildArtefact(trained: TrainedModel, facts: ArtefactFacts): Artefact {
  const features = trained.encoder.features.map((feature) => feature.name);
  const parameters = Object.fromEntries(
    Object.entries(facts.parameters).map(([name, value]) => [
      name,
      typeof value === 'object' ? [...value] : value,
    ]),
  );
  return {
    manifest: {
      model: facts.model,
      task: 'binary',
      features,
      layoutHash: layoutHash(features),
      threshold: facts.threshold,
      trainer: {
        name: facts.trainer,
        backend: trained.backend,
        parameters,
        epochs: trained.epochs.length,
        bestEpoch: trained.bestEpoch,
        tensorflowDifference: trained.tensorflowDifference,
      },
      dataset: facts.dataset,
      metrics: { validation: trained.validation, ...facts.test },
      codeVersion: facts.codeVersion,
      createdFrom: facts.createdFrom,
      asOf: facts.asOf,
      card: facts.card,
    },
    encoder: trained.encoder,
    layers: trained.layers,
    calibration: trained.calibration,
  };
}
