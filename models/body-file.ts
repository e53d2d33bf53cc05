/** Bodies of models as plain data of the artefact, both ways. */
import { z } from 'zod';
import type { ModelBody } from './body.ts';
import {
  isBase64,
  packBytes,
  packDoubles,
  packFloats,
  packIntegers,
  unpackBytes,
  unpackDoubles,
  unpackFloats,
  unpackIntegers,
} from './packed.ts';

const finite = z.number();
const probability = z.number().min(0).max(1);
const base64 = z.string().refine(isBase64, 'base64');

const nullRule = z.union([z.literal('centre'), z.strictObject({ value: finite })]);
const knots = z
  .strictObject({ values: z.array(finite).min(1), quantiles: z.array(probability).min(1) })
  .refine((rank) => rank.values.length === rank.quantiles.length, 'as many quantiles as values')
  .refine(
    (rank) => rank.values.every((v, i) => i === 0 || v > (rank.values[i - 1] as number)),
    'rising values',
  );
const encoder = z.strictObject({
  features: z.array(
    z.strictObject({
      name: z.string(),
      rank: knots.nullable(),
      zscore: z
        .strictObject({ mean: finite, deviation: z.number().positive(), clip: z.number().positive() })
        .nullable(),
      period: z.number().positive().nullable(),
      missing: z.boolean(),
      nulls: nullRule,
    }),
  ),
});

export const bodySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('dense'),
    encoder,
    layers: z.array(
      z.strictObject({
        inputs: z.int().min(1),
        units: z.int().min(1),
        activation: z.enum(['relu', 'linear']),
        kernel: base64,
        bias: base64,
      }),
    ),
  }),
  z.strictObject({ kind: z.literal('logistic'), encoder, weights: base64, intercept: finite }),
  z.strictObject({
    kind: z.literal('trees'),
    features: z.int().min(1),
    precision: z.enum(['double', 'single']),
    bias: finite,
    roots: base64,
    feature: base64,
    threshold: base64,
    left: base64,
    right: base64,
    nullLeft: base64,
    leaves: base64,
    leafRows: base64.optional(),
  }),
]);

export type BodyFile = z.infer<typeof bodySchema>;

/** Plain data for `bodySchema`. */
export function writeBody(body: ModelBody): object {
  switch (body.kind) {
    case 'dense':
      return {
        kind: 'dense',
        encoder: body.encoder,
        layers: body.layers.map(({ inputs, units, activation, kernel, bias }) => ({
          inputs,
          units,
          activation,
          kernel: packFloats(kernel),
          bias: packFloats(bias),
        })),
      };
    case 'logistic':
      return {
        kind: 'logistic',
        encoder: body.encoder,
        weights: packDoubles(body.weights),
        intercept: body.intercept,
      };
    case 'trees':
      return {
        kind: 'trees',
        features: body.features,
        precision: body.precision,
        bias: body.bias,
        roots: packIntegers(body.roots),
        feature: packIntegers(body.feature),
        threshold: packDoubles(body.threshold),
        left: packIntegers(body.left),
        right: packIntegers(body.right),
        nullLeft: packBytes(body.nullLeft),
        leaves: packDoubles(body.leaves),
        ...(body.leafRows === undefined ? {} : { leafRows: packIntegers(body.leafRows) }),
      };
  }
}

/** @throws RangeError where a packed list is no whole number of values. */
export function readBody(file: BodyFile): ModelBody {
  switch (file.kind) {
    case 'dense':
      return {
        ...file,
        layers: file.layers.map((layer) => ({
          ...layer,
          kernel: unpackFloats(layer.kernel),
          bias: unpackFloats(layer.bias),
        })),
      };
    case 'logistic':
      return { ...file, weights: unpackDoubles(file.weights) };
    case 'trees': {
      const { leafRows, ...rest } = file;
      return {
        ...rest,
        roots: unpackIntegers(file.roots),
        feature: unpackIntegers(file.feature),
        threshold: unpackDoubles(file.threshold),
        left: unpackIntegers(file.left),
        right: unpackIntegers(file.right),
        nullLeft: unpackBytes(file.nullLeft),
        leaves: unpackDoubles(file.leaves),
        ...(leafRows === undefined ? {} : { leafRows: unpackIntegers(leafRows) }),
      };
    }
  }
}
