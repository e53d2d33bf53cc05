/**
 * Gradient times input of networks and regressions: the slope of the log odds in each encoded column, times the column.
 * Encoded columns are centred, so that a value in the middle of what was learnt from adds nothing. A network of rectified
 * units is linear around each row, so that what the columns do not add is one number, its intercept there
 * (Shrikumar, Greenside and Kundaje, "Learning important features through propagating activation differences", 2017).
 */
import type { DenseLayer } from './dense.ts';
import { createEncoder, type EncoderData, encodedNames } from './encoder.ts';
import type { Logistic } from './logistic.ts';

/**
 * @param slopesOf slopes of the log odds in each column, at these columns.
 * @returns a function that gives what each feature adds to the log odds of a row.
 */
function byFeature(
  data: EncoderData,
  slopesOf: (columns: Float64Array) => Float64Array,
): (vector: Float64Array) => Float64Array {
  const encoder = createEncoder(data);
  const widths = data.features.map((one) => encodedNames({ features: [one] }).length);
  // Single precision, as in training.
  const input = new Float32Array(encoder.width);
  return (vector) => {
    encoder.encode(vector, input);
    const columns = Float64Array.from(input);
    const slopes = slopesOf(columns);
    let column = 0;
    return Float64Array.from(widths, (width) => {
      let sum = 0;
      for (const end = column + width; column < end; column++)
        sum += (slopes[column] as number) * (columns[column] as number);
      return sum;
    });
  };
}

export const gradientOfLogistic = ({ encoder, weights }: Logistic) => byFeature(encoder, () => weights);

export const gradientOfDense = (encoder: EncoderData, layers: readonly DenseLayer[]) =>
  byFeature(encoder, (columns) => slopesOfNetwork(layers, columns));

/** Forwards to see which units are on, then back. */
function slopesOfNetwork(layers: readonly DenseLayer[], columns: Float64Array): Float64Array {
  const on: boolean[][] = [];
  let values = columns;
  for (const { inputs, units, activation, kernel, bias } of layers) {
    const sums = Float64Array.from(bias);
    for (let input = 0; input < inputs; input++)
      for (let unit = 0; unit < units; unit++)
        sums[unit] =
          (sums[unit] as number) + (values[input] as number) * (kernel[input * units + unit] as number);
    on.push(Array.from(sums, (sum) => activation === 'linear' || sum > 0));
    values = sums.map((sum) => (activation === 'relu' && !(sum > 0) ? 0 : sum));
  }
  let slopes = Float64Array.of(1);
  layers.toReversed().forEach(({ inputs, units, kernel }, at) => {
    const passes = on[layers.length - 1 - at] ?? [];
    const back = new Float64Array(inputs);
    for (let input = 0; input < inputs; input++)
      for (let unit = 0; unit < units; unit++)
        if (passes[unit])
          back[input] =
            (back[input] as number) + (slopes[unit] as number) * (kernel[input * units + unit] as number);
    slopes = back;
  });
  return slopes;
}
