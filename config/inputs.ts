import type { EventRecord, Scalar } from '../schemas/event.ts';
import type { Input } from '../schemas/view.ts';
import { hash53, hashOf } from './hash.ts';

/** Largest integer that a double holds exactly with all below it. */
const MAX_EXACT = Number.MAX_SAFE_INTEGER;

/** What an input is made of: two features with equal parts share one input. */
export interface InputParts {
  readonly source: string;
  /** Types of event that count, sorted; null = all of the source. */
  readonly events: readonly string[] | null;
  /** Conditions, all of which must be true. */
  readonly where: readonly string[];
  /** The expression, or null where the event itself is what counts. */
  readonly of: string | null;
  readonly reading: 'event' | 'condition' | 'value' | 'hash';
  readonly scale: number;
  readonly range: readonly [number, number] | null;
}

export interface InputCode {
  readonly where: ReadonlyArray<(event: EventRecord) => Scalar>;
  readonly of: ((event: EventRecord) => Scalar) | null;
}

type Integer = (event: EventRecord) => number | null;

function reading(parts: InputParts, code: InputCode): Integer {
  const { of } = code;
  if (of === null) return () => 1;
  switch (parts.reading) {
    case 'event':
      return (event) => (of(event) === null ? null : 1);
    case 'condition':
      return (event) => {
        const value = of(event);
        return value === null ? null : value === true ? 1 : 0;
      };
    case 'hash':
      return (event) => {
        const value = of(event);
        return value === null ? null : hash53(String(value));
      };
    case 'value': {
      const { scale, range } = parts;
      const [low, high] = range ?? [-Infinity, Infinity];
      return (event) => {
        const value = of(event);
        if (typeof value !== 'number') return null;
        // Adding 0 turns -0, which no integer column holds, into 0.
        const scaled = Math.round(Math.min(Math.max(value, low), high) * scale) + 0;
        return scaled <= MAX_EXACT && scaled >= -MAX_EXACT ? scaled : null;
      };
    }
  }
}

/** The compiled input: conditions first, so that what does not count costs nothing more. */
function evaluateInput(parts: InputParts, code: InputCode): Integer {
  const read = reading(parts, code);
  const tests: Array<(event: EventRecord) => boolean> = [];
  const { events } = parts;
  if (events !== null) {
    const [only] = events;
    if (events.length === 1) tests.push((event) => event.type === only);
    else {
      const set = new Set(events);
      tests.push((event) => set.has(event.type));
    }
  }
  for (const condition of code.where) tests.push((event) => condition(event) === true);
  const [first, second] = tests;
  if (first === undefined) return read;
  if (second === undefined) return (event) => (first(event) ? read(event) : null);
  return (event) => (tests.every((test) => test(event)) ? read(event) : null);
}

/** Inputs of a view, each kept once. */
export interface InputList {
  readonly inputs: Input[];
  readonly parts: InputParts[];
  /** Index of the input. */
  add(name: string, parts: InputParts, code: InputCode): number;
}

export function createInputList(): InputList {
  const inputs: Input[] = [];
  const allParts: InputParts[] = [];
  const known = new Map<string, number>();
  return {
    inputs,
    parts: allParts,
    add(name, parts, code) {
      const key = hashOf(parts);
      const index = known.get(key);
      if (index !== undefined) return index;
      let unique = name;
      for (let n = 2; inputs.some((input) => input.name === unique); n += 1) unique = `${name}_${n}`;
      known.set(key, inputs.length);
      allParts.push(parts);
      return (
        inputs.push({
          name: unique,
          kind: parts.reading === 'hash' ? 'hash' : 'integer',
          scale: parts.scale,
          source: parts.source,
          evaluate: evaluateInput(parts, code),
        }) - 1
      );
    },
  };
}
