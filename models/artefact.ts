/**
 * A model as one file of data: manifest, body (network, regression or trees), calibration. Its bytes are canonical
 * (JSON with sorted keys, no spaces, lists of numbers as base64 of little-endian bytes), so that one model has one form
 * and one address: the SHA-256 of the bytes. Whoever holds the address can check the bytes, wherever they came from.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { layoutHash } from '../schemas/layout.ts';
import { faultOfBody, type ModelBody } from './body.ts';
import { bodySchema, readBody, writeBody } from './body-file.ts';
import type { Calibration } from './calibration.ts';

const ARTEFACT_FORMAT = 'millrace-model/2';

export type ArtefactErrorCode = 'malformed' | 'unknown_format' | 'hash_mismatch';

/** Bytes that are no artefact of ours, or not the one that was asked for. Asking again does not help. */
export class ArtefactError extends Error {
  readonly code: ArtefactErrorCode;
  readonly retriable = false;

  constructor(code: ArtefactErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ArtefactError';
    this.code = code;
  }
}

/** A vector (or a declaration) and a model that do not name the same features in the same order. */
export class LayoutMismatch extends Error {
  readonly code = 'layout_mismatch';
  readonly retriable = false;
  readonly expected: string;
  readonly found: string;

  /** @param expected layout hash of the model; @param found of what it was to be used with. */
  constructor(model: string, expected: string, found: string) {
    super(
      `Model ${model} was trained on feature layout ${expected.slice(0, 12)}, not on ${found.slice(0, 12)}: train it again on the declared features.`,
    );
    this.name = 'LayoutMismatch';
    this.expected = expected;
    this.found = found;
  }
}

const finite = z.number();
const probability = z.number().min(0).max(1);
const metrics = z.strictObject({
  rows: z.int().min(1),
  positives: z.int().min(0),
  baseRate: probability,
  meanScore: probability,
  auc: probability.nullable(),
  logLoss: finite,
  brier: finite,
  calibrationError: finite,
});
const parameter = z.union([z.number(), z.string(), z.array(z.number())]);

const manifestSchema = z.strictObject({
  model: z.string().min(1),
  task: z.literal('binary'),
  /** Names of the vector, in order; with the expressions they make the layout. */
  features: z.array(z.string().min(1)).min(1),
  /** Of those that are computed from the request, by name. */
  expressions: z.record(z.string(), z.string()),
  layoutHash: z.string(),
  /** Score at or above which the decision is true. */
  threshold: probability,
  /** Share of each feature, in their order, in how far the scores move when it does. They sum to 1. */
  importance: z.array(probability),
  trainer: z.strictObject({
    name: z.string(),
    backend: z.string(),
    parameters: z.record(z.string(), parameter),
    /** Passes over the rows (of trees: rounds) that were made, and the one that was kept. */
    epochs: z.int().min(0),
    bestEpoch: z.int().min(0),
    /** Largest difference between the published scorer and the engine that trained (TensorFlow.js, ONNX); null = it is the same code. */
    engineDifference: z.number().min(0).nullable(),
  }),
  /**
   * What it learnt from: enough to build the same rows again and to prove that they are the same. Epoch ms. Null where
   * that is not known: an imported model learnt elsewhere.
   */
  dataset: z
    .strictObject({
      query: z.string(),
      from: z.number(),
      to: z.number(),
      rows: z.int().min(1),
      loggedRows: z.int().min(0),
      backfilledRows: z.int().min(0),
      hash: z.string(),
    })
    .nullable(),
  metrics: z.strictObject({
    /** On the later rows that chose the epoch; null of an imported model. */
    validation: metrics.nullable(),
    /** On rows that training never touched; null where there are none yet. */
    test: metrics.nullable(),
    /** Of the baselines, on the rows of `test` (of `validation` where that is null). */
    baseRate: metrics.nullable(),
    calendar: metrics.nullable(),
  }),
  /** Version of the code that trained, and hash of the declarations it was made from. */
  codeVersion: z.string(),
  createdFrom: z.string(),
  /** Pipeline's event time of the training, epoch ms: a clock would make two equal trainings differ. */
  asOf: z.number(),
  card: z.strictObject({ purpose: z.string(), limits: z.string() }),
});

export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

const calibrationSchema = z.union([
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('platt'), slope: finite, intercept: finite }),
  z
    .strictObject({
      kind: z.literal('isotonic'),
      logits: z.array(finite).min(1),
      rates: z.array(probability).min(1),
    })
    .refine((map) => map.logits.length === map.rates.length, 'as many rates as logits'),
]);
const fileSchema = z.strictObject({
  format: z.literal(ARTEFACT_FORMAT),
  manifest: manifestSchema,
  body: bodySchema,
  calibration: calibrationSchema,
});

export interface Artefact {
  readonly manifest: Manifest;
  readonly body: ModelBody;
  readonly calibration: Calibration;
}

/** JSON with keys in the order of their UTF-16 code units, no spaces; refuses what JSON would silently change. */
function canonicalJson(value: unknown): string {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`An artefact cannot hold the number ${value}.`);
    return JSON.stringify(value);
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
  }
  throw new RangeError(`An artefact cannot hold a ${typeof value}.`);
}

/** What the parts of an artefact say against each other, in one sentence; null where they agree. */
function faultOf({ manifest, body }: Artefact): string | null {
  const { expressions } = manifest;
  const features = manifest.features.map((name) => ({ name, expression: expressions[name] ?? null }));
  if (layoutHash(features) !== manifest.layoutHash) return 'its layout hash is not that of its features';
  const { importance } = manifest;
  if (importance.length !== manifest.features.length)
    return `it names ${manifest.features.length} features and the importance of ${importance.length}`;
  return faultOfBody(body, manifest.features);
}

/** The canonical bytes of a model. @throws ArtefactError `malformed` where its parts do not fit together. */
export function serialiseArtefact(artefact: Artefact): Uint8Array {
  const fault = faultOf(artefact);
  if (fault !== null) throw new ArtefactError('malformed', `This model cannot be written: ${fault}.`);
  const { manifest, body, calibration } = artefact;
  const file = { format: ARTEFACT_FORMAT, manifest, body: writeBody(body), calibration };
  const checked = fileSchema.safeParse(file);
  if (!checked.success) {
    throw new ArtefactError(
      'malformed',
      `This model cannot be written: ${whereOf(checked.error)}.`,
      checked.error,
    );
  }
  return Buffer.from(canonicalJson(file), 'utf8');
}

function whereOf(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? 'unknown fault' : `${issue.path.join('.') || 'the file'}: ${issue.message}`;
}

/** SHA-256 of the bytes, lower case hex. */
export function addressOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Reads an artefact, trusting nothing but its address.
 *
 * @param address what the bytes must hash to (from the registry, or the file's name).
 * @throws ArtefactError where they do not, where the format is not ours, or where the parts do not fit together.
 */
export function parseArtefact(bytes: Uint8Array, address: string): Artefact {
  const found = addressOf(bytes);
  if (found !== address) {
    throw new ArtefactError(
      'hash_mismatch',
      `The model's bytes hash to ${found.slice(0, 12)}, not to its address ${address.slice(0, 12)}: they were altered or cut. Fetch or train it again.`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new ArtefactError('malformed', `Model ${address.slice(0, 12)} is not JSON in UTF-8.`, error);
  }
  const short = address.slice(0, 12);
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  if (format !== ARTEFACT_FORMAT) {
    throw new ArtefactError(
      'unknown_format',
      `Model ${short} has the format ${JSON.stringify(format)}; this version reads ${ARTEFACT_FORMAT}. Upgrade, or train it again.`,
    );
  }
  const checked = fileSchema.safeParse(value);
  if (!checked.success) {
    throw new ArtefactError('malformed', `Model ${short}: ${whereOf(checked.error)}.`, checked.error);
  }
  if (!Buffer.from(canonicalJson(value), 'utf8').equals(bytes)) {
    throw new ArtefactError(
      'malformed',
      `Model ${short} is not in canonical form: it was not written by Millrace.`,
    );
  }
  const { manifest, calibration } = checked.data;
  let body: ModelBody;
  try {
    body = readBody(checked.data.body);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new ArtefactError('malformed', `Model ${short} cannot be read: ${text}.`, error);
  }
  const artefact: Artefact = { manifest, body, calibration };
  const fault = faultOf(artefact);
  if (fault !== null) throw new ArtefactError('malformed', `Model ${short}: ${fault}.`);
  return artefact;
}
