import { partitionOf } from '../../processors/partition.ts';
import { SECOND } from '../../schemas/time.ts';
import { pick } from './random.ts';

export interface Payment {
  /** When its producer sends it, epoch ms. */
  readonly at: number;
  /** Event time: at most 1.2 s before, or minutes ahead where a clock is fast. */
  readonly time: number;
  readonly card: string;
  readonly country: string;
  readonly partition: number;
  readonly id: string;
  readonly amount: number;
}

export const PARTITIONS = 3;

/** By partition, cards that Kafka's own partitioner puts there. */
const CARDS = Array.from({ length: PARTITIONS }, (_, partition) => {
  const cards: string[] = [];
  for (let i = 0; cards.length < 3; i += 1)
    if (partitionOf(`card-${i}`, PARTITIONS) === partition) cards.push(`card-${i}`);
  return cards;
});

/** Mean time between two payments of each partition, ms: even, one busy, one sparse, all sparse. */
const GAPS = [
  [600, 600, 600],
  [400, 4_000, 4_000],
  [500, 500, 8_000],
  [3_000, 3_000, 3_000],
];
/** Payments of the trouble are thinner, so that a history stays short. */
const THINNER = 4;

export interface PlanOptions {
  readonly random: () => number;
  /** Epoch ms. */
  readonly start: number;
  /** Lengths of the calm before the trouble, of the trouble, and of the calm after it, ms. */
  readonly before: number;
  readonly away: number;
  readonly after: number;
  /** How far ahead the clock of one producer is, ms; for one event, or from then on. */
  readonly fast: { readonly ms: number; readonly events: number };
}

/**
 * Payments over three partitions, in the order in which they are sent. One partition is silent from before the trouble into it:
 *
 *   partition 0   x xx  x x x│ x   x     x  │x x xx x
 *   partition 1   x x        │        x   x │ x x  x
 *   partition 2   x   x  x  x│   x      x   │x   x  x
 *                  before    │    trouble   │  after
 */
export function payments(options: PlanOptions): Payment[] {
  const { random, start, before, away, after, fast } = options;
  const gaps = pick(random, GAPS);
  const countries = pick(random, [['at'], ['at', 'de']]);
  const silent = Math.floor(random() * PARTITIONS);
  const silence = [
    before - random() * 6 * SECOND,
    before + random() * Math.max(away * 0.8, 8 * SECOND),
  ] as const;
  const all: Payment[] = [];
  let fastLeft = fast.events;
  for (const [partition, mean] of gaps.entries())
    for (let at = 0; ; ) {
      at += random() * 2 * mean * (at > before && at < before + away ? THINNER : 1);
      if (at > before + away + after) break;
      if (partition === silent && at > silence[0] && at < silence[1]) continue;
      const ahead = at > before && partition === 0 && fastLeft > 0 ? fast.ms : 0;
      if (ahead > 0) fastLeft -= 1;
      all.push({
        at: Math.round(start + at),
        time: Math.floor(start + at - random() * 1.2 * SECOND + ahead),
        card: pick(random, CARDS[partition] ?? []),
        country: pick(random, countries),
        partition,
        id: '',
        amount: Math.round(random() * 10_000) / 100,
      });
    }
  return all.sort((a, b) => a.at - b.at).map((payment, i) => ({ ...payment, id: `p${i}` }));
}
