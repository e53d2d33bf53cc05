/** The parts of an ONNX file that a score depends on (onnx.proto, IR version 3 and later). */
import { doublesOf, fieldsOf, floatsOf, integersOf, OnnxError, textOf } from './protobuf.ts';

export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

export interface OnnxAttribute {
  readonly name: string;
  readonly float: number | null;
  readonly integer: number | null;
  readonly text: string | null;
  readonly floats: readonly number[];
  readonly integers: readonly number[];
  readonly texts: readonly string[];
  readonly tensor: OnnxTensor | null;
}

export interface OnnxNode {
  readonly operator: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

export interface OnnxGraph {
  /** What wrote the file, with its version. */
  readonly producer: string;
  readonly opsets: Readonly<Record<string, number>>;
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  /** Of a dimension that is not fixed: -1. */
  readonly inputs: ReadonlyArray<{ readonly name: string; readonly dims: readonly number[] }>;
  readonly outputs: readonly string[];
}

const MOST_BYTES = 64 * 1024 * 1024;
const MOST_NODES = 10_000;
const FLOAT = 1;
const DOUBLE = 11;

function tensorOf(bytes: Uint8Array): OnnxTensor {
  const dims: number[] = [];
  const floats: number[] = [];
  const doubles: number[] = [];
  let raw: Uint8Array | null = null;
  let type = 0;
  let name = '';
  let external = false;
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) dims.push(...integersOf(field));
    else if (field.number === 2) type = field.integer;
    else if (field.number === 4) append(floats, floatsOf(field));
    else if (field.number === 8) name = textOf(field);
    else if (field.number === 9) raw = field.bytes;
    else if (field.number === 10) append(doubles, doublesOf(field));
    else if (field.number === 13 || (field.number === 14 && field.integer === 1)) external = true;
  }
  if (external)
    throw new OnnxError(`The constant "${name}" lies outside the ONNX file: save the model in one file.`);
  // Constants of other types (labels, shapes) are carried without values: what needs them says so.
  if (type !== FLOAT && type !== DOUBLE) return { name, dims, values: [] };
  const packed = { number: 0, integer: 0, wire: 'bytes' as const, bytes: raw ?? new Uint8Array(0) };
  const inRaw = type === FLOAT ? floatsOf(packed) : doublesOf(packed);
  const values = raw !== null ? inRaw : type === FLOAT ? floats : doubles;
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (dims.some((dim) => dim < 0) || count !== values.length)
    throw new OnnxError(
      `The constant "${name}" of the ONNX file is to hold ${dims.join(' x ')} values but holds ${values.length}.`,
    );
  return { name, dims, values };
}

/** A spread would put a million arguments on the stack. */
function append<T>(list: T[], more: readonly T[]): void {
  for (const one of more) list.push(one);
}

function attributeOf(bytes: Uint8Array): OnnxAttribute {
  let name = '';
  let float: number | null = null;
  let integer: number | null = null;
  let text: string | null = null;
  let tensor: OnnxTensor | null = null;
  const floats: number[] = [];
  const integers: number[] = [];
  const texts: string[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = textOf(field);
    else if (field.number === 2) float = floatsOf(field)[0] ?? null;
    else if (field.number === 3) integer = field.integer;
    else if (field.number === 4) text = textOf(field);
    else if (field.number === 5) tensor = tensorOf(field.bytes);
    else if (field.number === 7) append(floats, floatsOf(field));
    else if (field.number === 8) append(integers, integersOf(field));
    else if (field.number === 9) texts.push(textOf(field));
  }
  return { name, float, integer, text, floats, integers, texts, tensor };
}

function nodeOf(bytes: Uint8Array): OnnxNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttribute>();
  let operator = '';
  let domain = '';
  let name = '';
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) inputs.push(textOf(field));
    else if (field.number === 2) outputs.push(textOf(field));
    else if (field.number === 3) name = textOf(field);
    else if (field.number === 4) operator = textOf(field);
    else if (field.number === 5) {
      const attribute = attributeOf(field.bytes);
      attributes.set(attribute.name, attribute);
    } else if (field.number === 7) domain = textOf(field);
  }
  return { operator, domain, name, inputs, outputs, attributes };
}

/** ValueInfoProto: name, and the dimensions of its tensor type. */
function valueInfo(bytes: Uint8Array): { name: string; dims: number[] } {
  let name = '';
  const dims: number[] = [];
  const inside = (from: Uint8Array, number: number) =>
    [...fieldsOf(from)].filter((field) => field.number === number);
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = textOf(field);
    if (field.number !== 2) continue;
    for (const type of inside(field.bytes, 1))
      for (const shape of inside(type.bytes, 2))
        for (const dim of inside(shape.bytes, 1)) dims.push(inside(dim.bytes, 1)[0]?.integer ?? -1);
  }
  return { name, dims };
}

/** @throws OnnxError where the bytes are no ONNX file, or one too large to be a model of a row of features. */
export function readGraph(bytes: Uint8Array): OnnxGraph {
  if (bytes.length > MOST_BYTES)
    throw new OnnxError(`The ONNX file has ${bytes.length} bytes; at most ${MOST_BYTES} are read.`);
  let producer = '';
  let version = '';
  let graph: Uint8Array | null = null;
  const opsets: Record<string, number> = {};
  for (const field of fieldsOf(bytes)) {
    if (field.number === 2) producer = textOf(field);
    else if (field.number === 3) version = textOf(field);
    else if (field.number === 7) graph = field.bytes;
    else if (field.number === 8) {
      let domain = '';
      let number = 0;
      for (const one of fieldsOf(field.bytes))
        if (one.number === 1) domain = textOf(one);
        else if (one.number === 2) number = one.integer;
      opsets[domain === '' ? 'ai.onnx' : domain] = number;
    }
  }
  if (graph === null) throw new OnnxError('This is no ONNX file: it holds no graph.');
  const nodes: OnnxNode[] = [];
  const constants = new Map<string, OnnxTensor>();
  const inputs: { name: string; dims: number[] }[] = [];
  const outputs: string[] = [];
  for (const field of fieldsOf(graph)) {
    if (field.number === 1) {
      if (nodes.length === MOST_NODES)
        throw new OnnxError(`The graph of the ONNX file has more than ${MOST_NODES} nodes.`);
      const node = nodeOf(field.bytes);
      const value = node.operator === 'Constant' ? node.attributes.get('value')?.tensor : null;
      if (value !== null && value !== undefined)
        for (const output of node.outputs) constants.set(output, value);
      else nodes.push(node);
    } else if (field.number === 5) {
      const tensor = tensorOf(field.bytes);
      constants.set(tensor.name, tensor);
    } else if (field.number === 11) inputs.push(valueInfo(field.bytes));
    else if (field.number === 12) outputs.push(valueInfo(field.bytes).name);
  }
  return {
    producer: [producer, version].filter((part) => part !== '').join(' ') || 'unknown',
    opsets,
    nodes,
    constants,
    inputs: inputs.filter(({ name }) => !constants.has(name)),
    outputs,
  };
}
