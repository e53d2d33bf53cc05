import { defaultEncoderSpec } from '../../../models/encoder.ts';
import { logisticSpecOf, trainLogistic } from '../../../models/logistic-train.ts';
import { fitModel } from '../../../pipelines/training/fit.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import { Destination, FEATURES, type Landing, type PlainModel } from './windows.ts';

/** Vectors and labels of landings, as the yardstick makes them. */
export function rowsOf(landings: readonly Landing[]): {
  rows: Float64Array;
  labels: Uint8Array;
  times: Float64Array;
} {
  const destinations = new Map<string, Destination>();
  const rows = new Float64Array(landings.length * FEATURES.length);
  for (const [i, landing] of landings.entries()) {
    const destination = destinations.get(landing.dest) ?? new Destination();
    destinations.set(landing.dest, destination);
    destination.add(landing);
    rows.set(destination.features(landing.ts), i * FEATURES.length);
  }
  return {
    rows,
    labels: Uint8Array.from(landings, ({ delay }) => (delay > 15 ? 1 : 0)),
    times: Float64Array.from(landings, ({ ts }) => ts),
  };
}

/** The yardstick's model: a weight a feature. */
export async function fitPlain(landings: readonly Landing[]): Promise<PlainModel> {
  const spec = logisticSpecOf({}, FEATURES);
  const encoder = {
    ...defaultEncoderSpec,
    standard: { ...defaultEncoderSpec.standard, rank: false, missing: 'never' as const },
  };
  const { body } = await trainLogistic({ names: FEATURES, ...rowsOf(landings) }, { ...spec, encoder });
  if (body.kind !== 'logistic') throw new Error('a logistic model was trained');
  return {
    intercept: body.intercept,
    columns: body.encoder.features.map(({ zscore }, i) => ({
      mean: zscore?.mean ?? 0,
      deviation: zscore?.deviation ?? 1,
      weight: body.weights[i] ?? 0,
    })),
  };
}

/** The artefact of the declared model, from the same rows. */
export async function fitDeclared(
  project: Project,
  model: Model,
  landings: readonly Landing[],
): Promise<Uint8Array> {
  const { rows, labels, times } = rowsOf(landings);
  const names = model.features.map(({ name }) => name.replace(/^dest\./, ''));
  if (names.join() !== FEATURES.join()) throw new Error(`the model of the example reads ${names.join(', ')}`);
  const { bytes } = await fitModel({
    project,
    model,
    training: {
      ids: [],
      times,
      rows,
      labels,
      cells: new Int16Array(landings.length),
      logged: 0,
      backfilled: landings.length,
      untold: 0,
      query: '',
      from: times[0] ?? 0,
      to: times.at(-1) ?? 0,
      hash: 'bench',
    },
    test: null,
    asOf: times.at(-1) ?? 0,
    codeVersion: 'bench',
  });
  return bytes;
}
