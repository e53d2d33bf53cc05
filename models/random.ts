/**
 * Seeded randomness for training: the same seed gives the same bits on every machine and backend, which neither
 * `Math.random` nor the initialisers of a tensor library promise.
 */
export interface Random {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number;
  /** Standard normal. */
  normal(): number;
  /** Fisher-Yates, in place; every order is equally likely. */
  shuffle(indices: Uint32Array): void;
}

/** sfc32 (Chris Doty-Humphrey, PractRand), seeded by 12 rounds of its own after a constant start. */
export function createRandom(seed: number): Random {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`A seed must be a whole number, not ${seed}.`);
  let a = 0x9e3779b9 | 0;
  let b = seed | 0;
  let c = Math.floor(seed / 4294967296) | 0;
  let counter = 1;

  function next32(): number {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return t >>> 0;
  }
  for (let round = 0; round < 12; round++) next32();

  const next = (): number => next32() / 4294967296;
  let spare: number | null = null;

  return {
    next,
    // Box-Muller (1958); both values of a pair are used, so that a stream is a function of the seed alone.
    normal() {
      if (spare !== null) {
        const value = spare;
        spare = null;
        return value;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - next()));
      const angle = 2 * Math.PI * next();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
    shuffle(indices) {
      for (let last = indices.length - 1; last > 0; last--) {
        const other = Math.floor(next() * (last + 1));
        const held = indices[last] as number;
        indices[last] = indices[other] as number;
        indices[other] = held;
      }
    },
  };
}
