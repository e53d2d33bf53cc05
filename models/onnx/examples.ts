import type { RecordedExample } from './import.ts';
import { OnnxError } from './protobuf.ts';

/**
 * Recorded examples from a text of JSON lines, or of one JSON list: `{"vector": [1.5, null], "score": 0.25}`. A vector is a
 * list in the order of the features, or a block by their names (a name that is left out is null).
 *
 * @throws OnnxError naming the example, from 1, that is none.
 */
export function parseExamples(text: string, features: readonly string[]): RecordedExample[] {
  const whole = text.trim();
  const values = whole.startsWith('[')
    ? listOf(whole)
    : whole
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line, at) => jsonOf(line, `Example ${at + 1}`));
  return values.map((value, at) => exampleOf(value, features, `Example ${at + 1}`));
}

function jsonOf(text: string, who: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new OnnxError(
      `${who} is not JSON: write a line like {"vector": [1.5, null], "score": 0.25}.`,
      error,
    );
  }
}

function listOf(text: string): readonly unknown[] {
  const list = jsonOf(text, 'The list of examples');
  return Array.isArray(list) ? list : [];
}

function exampleOf(value: unknown, features: readonly string[], who: string): RecordedExample {
  const { vector, score } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if (typeof score !== 'number') throw new OnnxError(`${who} has no score that is a number.`);
  if (typeof vector !== 'object' || vector === null)
    throw new OnnxError(
      `${who} has no vector, a list in the order of the features or a block by their names.`,
    );
  if (!Array.isArray(vector)) {
    const odd = Object.keys(vector).find((name) => !features.includes(name));
    if (odd !== undefined) throw new OnnxError(`${who} names "${odd}", which is no feature of the model.`);
  }
  const cells: readonly unknown[] = Array.isArray(vector)
    ? vector
    : features.map((name) => (vector as Record<string, unknown>)[name] ?? null);
  const bad = cells.findIndex((cell) => cell !== null && typeof cell !== 'number');
  if (bad >= 0)
    throw new OnnxError(
      `${who} has the value ${JSON.stringify(cells[bad])} for ${features[bad] ?? `place ${bad + 1}`}, which is neither a number nor null.`,
    );
  return {
    vector: Float64Array.from(cells, (cell) => (cell === null ? Number.NaN : (cell as number))),
    score,
  };
}
