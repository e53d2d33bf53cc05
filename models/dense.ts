/**
 * The one scorer of dense networks whose result is published. TensorFlow.js trains; its kernels may sum in another
 * order for another batch size, so that its last bits depend on the batch. Here each unit's sum runs over its inputs
 * in one fixed order, in doubles: scoring a batch is scoring each row, bit for bit. Both agree to 1e-6.
 */
export interface DenseLayer {
  readonly inputs: number;
  readonly units: number;
  readonly activation: 'relu' | 'linear';
  /** inputs x units, row-major, as TensorFlow lays it out: weight of input i to unit u at [i * units + u]. */
  readonly kernel: Float32Array;
  readonly bias: Float32Array;
}

export interface DenseNetwork {
  readonly inputs: number;
  /** Value of the one unit of the last layer, before the sigmoid. Allocates nothing. */
  logit(input: Float32Array): number;
}

/** Logistic function in the form that cannot overflow on either side. */
export function sigmoid(z: number): number {
  if (z >= 0) return 1 / (1 + Math.exp(-z));
  const e = Math.exp(z);
  return e / (1 + e);
}

/** What is wrong with these layers, in one sentence; null where nothing is. */
export function faultOfLayers(layers: readonly DenseLayer[]): string | null {
  if (layers.length === 0) return 'A network needs at least one layer.';
  let inputs = layers[0]?.inputs ?? 0;
  for (const [at, layer] of layers.entries()) {
    if (!Number.isSafeInteger(layer.units) || layer.units < 1 || layer.inputs < 1) {
      return `Layer ${at} has ${layer.inputs} inputs and ${layer.units} units; both must be whole numbers above 0.`;
    }
    if (layer.inputs !== inputs) return `Layer ${at} takes ${layer.inputs} inputs but is given ${inputs}.`;
    if (layer.kernel.length !== layer.inputs * layer.units || layer.bias.length !== layer.units) {
      return `Layer ${at} of ${layer.inputs} x ${layer.units} has ${layer.kernel.length} weights and ${layer.bias.length} biases.`;
    }
    if (!layer.kernel.every(Number.isFinite) || !layer.bias.every(Number.isFinite)) {
      return `Layer ${at} holds a weight that is not a finite number.`;
    }
    inputs = layer.units;
  }
  const last = layers[layers.length - 1];
  if (last?.units !== 1 || last.activation !== 'linear') return 'The last layer must be one linear unit.';
  return null;
}

interface Compiled {
  readonly inputs: number;
  readonly units: number;
  /** Units rounded up to a multiple of four; the padding has weights of zero and is never read. */
  readonly padded: number;
  /** Blocks of four units: block b, input i, unit 4b + k at [(b * inputs + i) * 4 + k]. */
  readonly weights: Float64Array;
  readonly bias: Float64Array;
  readonly relu: boolean;
  readonly out: Float64Array;
}

function compile(layer: DenseLayer): Compiled {
  const { inputs, units } = layer;
  const padded = Math.ceil(units / 4) * 4;
  const weights = new Float64Array(padded * inputs);
  const bias = new Float64Array(padded);
  for (let unit = 0; unit < units; unit++) {
    bias[unit] = layer.bias[unit] as number;
    const block = unit >> 2;
    for (let input = 0; input < inputs; input++) {
      weights[(block * inputs + input) * 4 + (unit & 3)] = layer.kernel[input * units + unit] as number;
    }
  }
  return {
    inputs,
    units,
    padded,
    weights,
    bias,
    relu: layer.activation === 'relu',
    out: new Float64Array(padded),
  };
}

/** Four units at once: four independent sums keep the processor busy where one would wait for itself. */
function forward(layer: Compiled, input: Float64Array): Float64Array {
  const { inputs, padded, weights, bias, relu, out } = layer;
  let w = 0;
  for (let unit = 0; unit < padded; unit += 4) {
    let s0 = bias[unit] as number;
    let s1 = bias[unit + 1] as number;
    let s2 = bias[unit + 2] as number;
    let s3 = bias[unit + 3] as number;
    for (let i = 0; i < inputs; i++) {
      const x = input[i] as number;
      s0 += x * (weights[w] as number);
      s1 += x * (weights[w + 1] as number);
      s2 += x * (weights[w + 2] as number);
      s3 += x * (weights[w + 3] as number);
      w += 4;
    }
    out[unit] = relu && !(s0 > 0) ? 0 : s0;
    out[unit + 1] = relu && !(s1 > 0) ? 0 : s1;
    out[unit + 2] = relu && !(s2 > 0) ? 0 : s2;
    out[unit + 3] = relu && !(s3 > 0) ? 0 : s3;
  }
  return out;
}

/** @throws RangeError where the layers do not fit each other. */
export function createDense(layers: readonly DenseLayer[]): DenseNetwork {
  const fault = faultOfLayers(layers);
  if (fault !== null) throw new RangeError(fault);
  const compiled = layers.map(compile);
  const inputs = layers[0]?.inputs ?? 0;
  // Inputs come as single precision, as in training, and are summed in doubles.
  const first = new Float64Array(inputs);
  return {
    inputs,
    logit(input) {
      for (let i = 0; i < inputs; i++) first[i] = input[i] as number;
      let values: Float64Array = first;
      for (let at = 0; at < compiled.length; at++) values = forward(compiled[at] as Compiled, values);
      return values[0] as number;
    },
  };
}
