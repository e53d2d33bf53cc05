import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdMemory } from '../../processors/id-memory.ts';
import { HASH, hashText } from '../../processors/text-hash.ts';
import type { Deduplication } from '../../schemas/project.ts';
import { memoryBytes } from '../../schemas/remembered.ts';

interface Offer {
  readonly id: string;
  readonly arrival: number;
}

/** Says of each offer which accepted offset it repeats, or null; offers that repeat nothing are accepted. All of them, from the words of the rule. */
function naively({ within, atMost }: Deduplication, offers: readonly Offer[]): Array<number | null> {
  const accepted: Array<{ id: string; at: number; offset: number }> = [];
  let clock = Number.NEGATIVE_INFINITY;
  return offers.map(({ id, arrival }, offset) => {
    const now = Math.max(clock, arrival);
    const first = accepted.slice(-atMost).findLast((one) => one.id === id && now - one.at <= within);
    if (first !== undefined) return first.offset;
    clock = now;
    accepted.push({ id, at: now, offset });
    return null;
  });
}

/** The same by a memory that keeps after so many offers, and drops and works again what it had not kept now and then. */
function byMemory(
  memory: IdMemory,
  offers: readonly Offer[],
  cuts: readonly number[],
  first = 0,
): Array<number | null> {
  const answers: Array<number | null> = [];
  const work = (from: number, to: number): Array<number | null> =>
    offers.slice(from, to).map(({ id, arrival }, i) => {
      const found = memory.find(id, arrival);
      if (found === null) memory.add(id, arrival, first + from + i);
      return found?.offset ?? null;
    });
  for (let at = 0, turn = 0; at < offers.length; turn += 1) {
    const to = Math.min(offers.length, at + (cuts[turn % cuts.length] ?? 1));
    if (turn % 3 === 1) {
      work(at, to);
      memory.drop();
    }
    answers.push(...work(at, to));
    memory.keep();
    at = to;
  }
  return answers;
}

const rules = fc.record({ within: fc.integer({ min: 1, max: 60 }), atMost: fc.integer({ min: 1, max: 40 }) });
/** Few ids, so that they come again; arrivals that mostly go on and sometimes back. */
const offers = fc
  .array(
    fc.record({
      id: fc.integer({ min: 0, max: 60 }).map((n) => `id-${n}`),
      gap: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: -20, max: 100 })),
    }),
    { maxLength: 300 },
  )
  .map((all) => {
    let arrival = 1_000;
    return all.map(({ id, gap }): Offer => {
      arrival += gap;
      return { id, arrival };
    });
  });
const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 });

describe('a memory of ids', () => {
  it('knows what the rule says, however its input is cut, whatever is dropped and worked again', () => {
    fc.assert(
      fc.property(rules, offers, cuts, (rule, all, sizes) => {
        expect(byMemory(new IdMemory(rule), all, sizes)).toEqual(naively(rule, all));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same again when it is built from where it begins', () => {
    fc.assert(
      fc.property(rules, offers, offers, cuts, (rule, before, after, sizes) => {
        const memory = new IdMemory(rule);
        const answers = byMemory(memory, before, sizes);
        const start = memory.start(before.length);
        const again = new IdMemory(rule);
        again.begin(start.at);
        for (const [offset, { id, arrival }] of before.entries())
          if (offset >= start.from && answers[offset] === null) again.add(id, arrival, offset);
        again.keep();
        expect(again.size).toBe(memory.size);
        expect(byMemory(again, after, sizes, before.length)).toEqual(
          byMemory(memory, after, [7], before.length),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('remembers a thousand times its first size, and finds every id of it and no other', () => {
    const memory = new IdMemory({ within: 10, atMost: 300_000 });
    for (let i = 0; i < 400_000; i += 1) {
      memory.add(`event-${i}`, 5, i);
      if (i % 1_000 === 999) memory.keep();
    }
    expect(memory.size).toBe(300_000);
    const found = (i: number) => memory.find(`event-${i}`, 5)?.offset;
    for (let i = 100_000; i < 400_000; i += 1) if (found(i) !== i) throw new Error(`event-${i} is not known`);
    for (let i = 0; i < 100_000; i += 1) if (found(i) !== undefined) throw new Error(`event-${i} is known`);
  });

  it('says how many were forgotten before their time', () => {
    const memory = new IdMemory({ within: 10, atMost: 3 });
    for (let i = 0; i < 5; i += 1) memory.add(`${i}`, i, i);
    expect(memory.keep()).toBe(2);
    memory.add('5', 100, 5);
    // The three that were left are too old by now, and are forgotten in time.
    expect(memory.keep()).toBe(0);
    expect(memory.size).toBe(1);
  });

  it('takes 32 MB for a million ids', () => {
    expect(memoryBytes(1_000_000)).toBe(2 ** 25);
  });
});

describe('the hash of a text', () => {
  const hashOf = (text: string) => {
    hashText(text);
    return `${HASH[0]}:${HASH[1]}`;
  };

  it('is another for ids that are alike', () => {
    const texts = new Set<string>();
    for (let i = 0; i < 20_000; i += 1)
      for (const text of [`${i}`, `p${i}`, `payment-${i}`, `${i}-${i}`, `${'0'.repeat(30)}${i}`])
        texts.add(text);
    for (const text of ['', '\0', '\0\0', 'ab', 'ba', 'é', 'e\u0301', '\u{1f600}', 'a\0']) texts.add(text);
    expect(new Set([...texts].map(hashOf)).size).toBe(texts.size);
  });

  it('spreads each half evenly over 256 buckets', () => {
    for (const half of [0, 1]) {
      for (const shift of [0, 24]) {
        const counts = new Float64Array(256);
        const n = 100_000;
        for (let i = 0; i < n; i += 1) {
          hashText(`order-${1_000_000 + i}`);
          const bucket = ((HASH[half] as number) >>> shift) & 255;
          counts[bucket] = (counts[bucket] ?? 0) + 1;
        }
        const chi = counts.reduce((sum, count) => sum + (count - n / 256) ** 2 / (n / 256), 0);
        // 255 degrees of freedom: mean 255, deviation 22.6.
        expect(chi).toBeLessThan(255 + 5 * 22.6);
      }
    }
  });
});
