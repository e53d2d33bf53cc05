/**
 * A model from elsewhere: an ONNX file becomes a body of our own kinds, scored by our own code, and is only taken where
 * that code gives the very scores that were recorded where the model was made. No ONNX runtime is involved.
 */
import { createRaw, faultOfBody, type ModelBody } from '../body.ts';
import { type Calibration, createCalibrator } from '../calibration.ts';
import type { EncoderData } from '../encoder.ts';
import { importanceOf } from '../importance.ts';
import { ensembleOf } from './ensemble.ts';
import { type OnnxGraph, type OnnxNode, readGraph } from './graph.ts';
import { layersOf } from './network.ts';
import { OnnxError } from './protobuf.ts';

/** A row and the probability that the model gave it where it was made. Null is a null, written NaN. */
export interface RecordedExample {
  readonly vector: Float64Array;
  readonly score: number;
}

export interface ImportedModel {
  readonly body: ModelBody;
  readonly calibration: Calibration;
  /** Shares as in the manifest, by the rows of the examples. */
  readonly importance: readonly number[];
  readonly producer: string;
  readonly opsets: Readonly<Record<string, number>>;
  readonly examples: number;
  /** Largest difference between our score and the recorded one. */
  readonly difference: number;
}

const TOLERANCE = 1e-6;
const LEAST_EXAMPLES = 10;

const TREES = ['TreeEnsembleClassifier', 'TreeEnsembleRegressor'];
const LINEAR = ['Gemm', 'MatMul', 'Add', 'Relu'];
const WRAPPERS = ['Identity', 'Cast', 'ZipMap', 'Sigmoid'];
const SUPPORTED = [...TREES, ...LINEAR, ...WRAPPERS].join(', ');

/** What a raw output that is a probability already becomes: itself, kept within [0, 1]. */
const AS_IT_IS: Calibration = { kind: 'isotonic', logits: [0, 1], rates: [0, 1] };

/**
 * @param features names of the vector, in order.
 * @throws OnnxError with one sentence: an unknown operator or shape, or an example whose score is another.
 */
export function importOnnx(
  bytes: Uint8Array,
  {
    features,
    examples,
  }: { readonly features: readonly string[]; readonly examples: readonly RecordedExample[] },
): ImportedModel {
  const graph = readGraph(bytes);
  const width = inputWidth(graph);
  if (width !== -1 && width !== features.length)
    throw new OnnxError(
      `The ONNX model reads ${width} features, but the model declares ${features.length}: export it for the declared ones, in their order.`,
    );
  const { chain, sigmoid } = chainOf(graph);
  const { body, logistic } = bodyOf(chain, graph, features);
  if (logistic && sigmoid)
    throw new OnnxError(
      'The graph puts a Sigmoid on what is a probability already (post_transform LOGISTIC).',
    );
  const fault = faultOfBody(body, features);
  if (fault !== null) throw new OnnxError(`The ONNX model cannot score: ${fault}.`);
  const calibration: Calibration = logistic || sigmoid ? { kind: 'none' } : AS_IT_IS;
  const difference = checkExamples(body, calibration, features.length, examples);
  const rows = new Float64Array(examples.length * features.length);
  examples.forEach(({ vector }, at) => {
    rows.set(vector, at * features.length);
  });
  const chosen = Uint32Array.from(examples, (_, at) => at);
  return {
    body,
    calibration,
    importance: importanceOf(body, calibration, rows, features.length, chosen, 1),
    producer: graph.producer,
    opsets: graph.opsets,
    examples: examples.length,
    difference,
  };
}

/** Values of a row; -1 where the file leaves it open. */
function inputWidth({ inputs }: OnnxGraph): number {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1)
    throw new OnnxError(
      `The ONNX model has ${inputs.length} inputs; one matrix of numbers, a row a vector, is supported.`,
    );
  if (input.dims.length !== 2)
    throw new OnnxError(
      `The input "${input.name}" of the ONNX model has ${input.dims.length} dimensions; two are supported, rows and features.`,
    );
  return input.dims[1] ?? -1;
}

/** From the score back to the input: the nodes that count, first to last, without wrappers. */
function chainOf(graph: OnnxGraph): { readonly chain: OnnxNode[]; readonly sigmoid: boolean } {
  const makers = new Map<string, OnnxNode>();
  for (const node of graph.nodes) for (const output of node.outputs) makers.set(output, node);
  const input = graph.inputs[0]?.name;
  const chain: OnnxNode[] = [];
  let sigmoid = false;
  // A classifier gives the label first and the probabilities last.
  let name = graph.outputs.at(-1);
  for (let steps = 0; name !== input; steps++) {
    const node: OnnxNode | undefined = name === undefined ? undefined : makers.get(name);
    if (node === undefined || steps > graph.nodes.length)
      throw new OnnxError(`The output "${name}" of the ONNX graph does not come from its input.`);
    const { operator, outputs } = node;
    if (operator === 'TreeEnsembleClassifier' && outputs[1] !== name)
      throw new OnnxError(
        'The last output of the ONNX graph is the label; export the probabilities as the last.',
      );
    if (TREES.includes(operator)) chain.unshift(node);
    else if (operator === 'Sigmoid') {
      if (chain.length > 0 || sigmoid)
        throw new OnnxError('The graph has a Sigmoid inside the network; Relu is supported there.');
      sigmoid = true;
    } else if (LINEAR.includes(operator)) chain.unshift(node);
    else if (!WRAPPERS.includes(operator) && !isTimesOne(node, graph))
      throw new OnnxError(`The ONNX graph uses the operator ${operator}; supported are ${SUPPORTED}.`);
    const own = node.inputs.filter((one) => one !== '' && !graph.constants.has(one));
    if (own.length !== 1)
      throw new OnnxError(
        `The ${operator} of the ONNX graph reads ${own.length} values that are not constant; one is supported.`,
      );
    name = own[0];
  }
  return { chain, sigmoid };
}

/** LightGBM's converter ends a graph without ZipMap with a Mul by one. */
function isTimesOne({ operator, inputs }: OnnxNode, { constants }: OnnxGraph): boolean {
  const factor = inputs.map((name) => constants.get(name)).find((one) => one !== undefined);
  return (
    operator === 'Mul' &&
    factor !== undefined &&
    factor.values.length > 0 &&
    factor.values.every((v) => v === 1)
  );
}

function bodyOf(
  chain: readonly OnnxNode[],
  graph: OnnxGraph,
  features: readonly string[],
): { readonly body: ModelBody; readonly logistic: boolean } {
  const trees = chain.find(({ operator }) => TREES.includes(operator));
  if (trees === undefined) {
    const layers = layersOf(chain, graph, features.length);
    return { body: { kind: 'dense', encoder: asItIs(features), layers }, logistic: false };
  }
  if (chain.length > 1)
    throw new OnnxError(
      `The ONNX graph uses ${chain.find((node) => node !== trees)?.operator} beside ${trees.operator}, which is not supported: put such a step into the model's features.`,
    );
  const { forest, logistic } = ensembleOf(trees, features.length);
  return { body: { kind: 'trees', ...forest }, logistic };
}

/** Every feature as it is; a null, which the network would make a NaN of, counts as 0. */
function asItIs(features: readonly string[]): EncoderData {
  return {
    features: features.map((name) => ({
      name,
      rank: null,
      zscore: { mean: 0, deviation: 1, clip: 3.4028234663852886e38 },
      period: null,
      missing: false,
      nulls: { value: 0 },
    })),
  };
}

function checkExamples(
  body: ModelBody,
  calibration: Calibration,
  width: number,
  examples: readonly RecordedExample[],
): number {
  if (examples.length < LEAST_EXAMPLES)
    throw new OnnxError(
      `A model is checked on at least ${LEAST_EXAMPLES} recorded examples, not on ${examples.length}: record vectors with the scores that the model gave them.`,
    );
  const raw = createRaw(body);
  const calibrate = createCalibrator(calibration);
  let worst = 0;
  for (const [at, { vector, score }] of examples.entries()) {
    if (vector.length !== width)
      throw new OnnxError(
        `Example ${at + 1} has ${vector.length} values, but the model has ${width} features.`,
      );
    if (!(score >= 0 && score <= 1))
      throw new OnnxError(
        `Example ${at + 1} has the score ${score}, which is no probability: export the model with its Sigmoid or as a classifier.`,
      );
    const own = calibrate(raw.logit(vector, 0));
    const difference = Math.abs(own - score);
    if (!(difference <= TOLERANCE))
      throw new OnnxError(
        `Example ${at + 1} was recorded with the score ${score}, but this file gives ${own}: they belong to different models, or to other features or another order of them.`,
      );
    worst = Math.max(worst, difference);
  }
  return worst;
}
