import type { DenseLayer } from '../dense.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from './graph.ts';
import { OnnxError } from './protobuf.ts';

/**
 * A chain of Gemm, MatMul, Add, Relu as dense layers. The last is linear with one unit: what the graph does with it
 * (Sigmoid or nothing) is the caller's.
 *
 * @param chain from the input on.
 * @throws OnnxError naming what is not supported, or what does not fit together.
 */
export function layersOf(chain: readonly OnnxNode[], graph: OnnxGraph, features: number): DenseLayer[] {
  const layers: DenseLayer[] = [];
  let width = features;
  for (const [at, node] of chain.entries()) {
    const last = layers.at(-1);
    if (node.operator === 'Relu') {
      if (last === undefined || last.activation === 'relu')
        throw new OnnxError('The graph has a Relu that follows no linear layer.');
      layers[layers.length - 1] = { ...last, activation: 'relu' };
    } else if (node.operator === 'Add') {
      if (last === undefined || last.activation === 'relu' || chain[at - 1]?.operator === 'Relu')
        throw new OnnxError('The graph has an Add that follows no MatMul or Gemm.');
      const more = biasOf(constantOf(node, graph), last.units, node);
      layers[layers.length - 1] = {
        ...last,
        bias: last.bias.map((value, unit) => value + (more[unit] as number)),
      };
    } else {
      const layer = linearOf(node, graph, width);
      layers.push(layer);
      width = layer.units;
    }
  }
  const last = layers.at(-1);
  if (last === undefined || last.units !== 1 || last.activation === 'relu')
    throw new OnnxError(
      `The network of the ONNX file ends with ${last?.units ?? 0} outputs${last?.activation === 'relu' ? ' behind a Relu' : ''}; one linear output, with or without a Sigmoid, is supported.`,
    );
  return layers;
}

function constantOf(node: OnnxNode, graph: OnnxGraph): OnnxTensor {
  const constant = node.inputs.map((name) => graph.constants.get(name)).find((one) => one !== undefined);
  if (constant === undefined || constant.values.length === 0)
    throw new OnnxError(`The ${node.operator} has no constant of numbers beside its input.`);
  return constant;
}

function biasOf(tensor: OnnxTensor, units: number, { operator }: OnnxNode): Float32Array {
  const long = tensor.values.length;
  if (long !== units && long !== 1)
    throw new OnnxError(`The ${operator} adds ${tensor.dims.join(' x ')} values to ${units} units.`);
  return Float32Array.from({ length: units }, (_, unit) => tensor.values[long === 1 ? 0 : unit] as number);
}

function linearOf(node: OnnxNode, graph: OnnxGraph, width: number): DenseLayer {
  const { operator, inputs, attributes } = node;
  const number = (key: string, otherwise: number) => {
    const attribute = attributes.get(key);
    return attribute?.float ?? attribute?.integer ?? otherwise;
  };
  const weights = graph.constants.get(inputs[1] ?? '');
  if (weights === undefined || weights.dims.length !== 2)
    throw new OnnxError(`The ${operator} does not multiply its input by one constant matrix.`);
  const turned = operator === 'Gemm' && number('transB', 0) === 1;
  if (
    operator === 'Gemm' &&
    (number('alpha', 1) !== 1 || number('beta', 1) !== 1 || number('transA', 0) !== 0)
  )
    throw new OnnxError(
      'The Gemm has an alpha or beta that is not 1, or a transposed input, which is not supported.',
    );
  const [rows = 0, columns = 0] = weights.dims;
  const [depth, units] = turned ? [columns, rows] : [rows, columns];
  if (depth !== width)
    throw new OnnxError(`The ${operator} multiplies ${depth} values, but is given ${width}.`);
  const kernel = new Float32Array(depth * units);
  for (let input = 0; input < depth; input++)
    for (let unit = 0; unit < units; unit++)
      kernel[input * units + unit] = weights.values[
        turned ? unit * depth + input : input * units + unit
      ] as number;
  const bias = operator === 'Gemm' ? graph.constants.get(inputs[2] ?? '') : undefined;
  if (operator === 'Gemm' && bias === undefined && (inputs[2] ?? '') !== '')
    throw new OnnxError('The Gemm adds something that is no constant.');
  return {
    inputs: depth,
    units,
    activation: 'linear',
    kernel,
    bias: bias === undefined ? new Float32Array(units) : biasOf(bias, units, node),
  };
}
