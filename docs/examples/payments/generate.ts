import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { parseArgs } from 'node:util';

/**
 * Card payments as a team's own JSON records, one a line, made up from a seed: the same options give the same
 * lines. People pay at places they know, by day more than by night; thieves use a stolen card fast and far
 * away, or try many stolen cards with small amounts at one merchant.
 */
export interface PaymentOptions {
  readonly seed: number;
  /** Epoch ms. */
  readonly from: number;
  readonly days: number;
  readonly cards: number;
  readonly merchants: number;
  /** Payments of a card on a day, on average. */
  readonly perCard: number;
}

export const DEFAULTS: PaymentOptions = {
  seed: 1,
  from: Date.UTC(2026, 2, 2),
  days: 14,
  cards: 1_000,
  merchants: 200,
  perCard: 4,
};

export interface PaymentRecord {
  readonly event_id: string;
  readonly kind: 'payment.requested' | 'payment.settled';
  readonly created_at: string;
  readonly payment_id: string;
  readonly card: { readonly token: string; readonly country: string };
  readonly merchant: { readonly id: string; readonly category: string; readonly country: string };
  readonly amount: { readonly value: number; readonly currency: 'EUR' };
  /** Only when settled: whether the holder of the card did not make the payment. */
  readonly chargeback?: boolean;
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
const COUNTRIES = ['DE', 'FR', 'IT', 'ES', 'NL', 'PL'] as const;
/** Typical amount in euros, and how far amounts spread (of the logarithm). */
const CATEGORIES = {
  grocery: [28, 0.7],
  coffee: [5, 0.4],
  fuel: [55, 0.4],
  clothes: [60, 0.8],
  electronics: [180, 0.9],
  travel: [240, 0.8],
  gift_cards: [70, 0.5],
} as const satisfies Record<string, readonly [number, number]>;
type Category = keyof typeof CATEGORIES;

/** Payments an hour of the day, relative. */
const RHYTHM = [1, 1, 1, 1, 1, 2, 4, 8, 10, 10, 11, 14, 16, 13, 11, 11, 12, 15, 17, 14, 10, 6, 4, 2];

/** Records come at most this much out of order, ms; the source declares 5 s. */
const JITTER = 4_000;
/** Of payments, those with an amount of zero, which a rule refuses. */
const BAD_SHARE = 0.001;
/** Of the payments of thieves, those that somebody notices; of honest ones, those disputed all the same. */
const NOTICED = 0.95;
const DISPUTED = 0.0005;

interface Merchant {
  readonly id: string;
  readonly category: Category;
  readonly country: string;
}
interface Card {
  readonly token: string;
  readonly country: string;
  readonly usual: readonly Merchant[];
  /** How dearly its owner buys: 1 is usual. */
  readonly taste: number;
}
interface Payment {
  readonly time: number;
  readonly card: Card;
  readonly merchant: Merchant;
  readonly amount: number;
  readonly fraud: boolean;
}

/** Small seeded generator (mulberry32, Tommy Ettinger, public domain): numbers in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class World {
  readonly #options: PaymentOptions;
  readonly #random: () => number;
  readonly #merchants: readonly Merchant[];
  readonly #cards: readonly Card[];

  constructor(options: PaymentOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
    const categories = Object.keys(CATEGORIES) as Category[];
    this.#merchants = Array.from({ length: options.merchants }, (_, index) => ({
      id: `m_${String(index).padStart(4, '0')}`,
      category: categories[index % categories.length] ?? 'grocery',
      country: this.#pick(COUNTRIES),
    }));
    this.#cards = Array.from({ length: options.cards }, (_, index) => {
      const country = this.#pick(COUNTRIES);
      const near = this.#merchants.filter((one) => one.country === country);
      const usual = Array.from({ length: 8 }, () => this.#pick(near.length > 0 ? near : this.#merchants));
      return {
        token: `c_${String(index).padStart(5, '0')}`,
        country,
        usual,
        taste: 0.6 + 0.8 * this.#random(),
      };
    });
  }

  /** All payments, in order of time. */
  payments(): Payment[] {
    const { days, from, cards, perCard } = this.#options;
    const payments: Payment[] = [];
    for (let day = 0; day < days; day += 1) {
      const start = from + day * DAY;
      for (const card of this.#cards) {
        const count = Math.floor(perCard * 2 * this.#random());
        for (let n = 0; n < count; n += 1) payments.push(this.#honest(card, start));
      }
      // A card in 150 is stolen on a day, and a merchant or two are used to try cards.
      for (let n = 0; n < Math.max(1, cards / 150); n += 1) payments.push(...this.#spree(start));
      for (let n = 0; n < 2; n += 1) payments.push(...this.#trial(start));
    }
    return payments.sort((a, b) => a.time - b.time);
  }

  #honest(card: Card, day: number): Payment {
    const merchant = this.#random() < 0.85 ? this.#pick(card.usual) : this.#pick(this.#merchants);
    return {
      time: day + this.#timeOfDay(),
      card,
      merchant,
      amount: this.#amount(merchant, card.taste),
      fraud: false,
    };
  }

  /** A stolen card: a dozen purchases within minutes, abroad, of what can be sold again. */
  #spree(day: number): Payment[] {
    const card = this.#pick(this.#cards);
    const wanted = this.#merchants.filter(
      (one) => one.category === 'electronics' || one.category === 'gift_cards',
    );
    const start = day + this.#random() * DAY;
    const length = 6 + Math.floor(14 * this.#random());
    let time = start;
    return Array.from({ length }, () => {
      time += 5_000 + 55_000 * this.#random();
      const merchant = this.#pick(wanted.length > 0 ? wanted : this.#merchants);
      return { time, card, merchant, amount: this.#amount(merchant, 1.6), fraud: true };
    });
  }

  /** Many stolen cards tried with small amounts at one merchant. */
  #trial(day: number): Payment[] {
    const merchant = this.#pick(this.#merchants);
    const length = 20 + Math.floor(30 * this.#random());
    let time = day + this.#random() * DAY;
    return Array.from({ length }, () => {
      time += 1_000 + 8_000 * this.#random();
      const amount = Math.round(100 * (0.5 + this.#random())) / 100;
      return { time, card: this.#pick(this.#cards), merchant, amount, fraud: true };
    });
  }

  #amount(merchant: Merchant, taste: number): number {
    const [typical, spread] = CATEGORIES[merchant.category];
    const normal = Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
    return Math.max(0.5, Math.round(100 * typical * taste * Math.exp(spread * normal)) / 100);
  }

  #timeOfDay(): number {
    let left = this.#random() * RHYTHM.reduce((sum, one) => sum + one, 0);
    for (const [hour, weight] of RHYTHM.entries()) {
      if (left < weight) return Math.floor((hour + left / weight) * HOUR);
      left -= weight;
    }
    return DAY - 1;
  }

  #pick<T>(list: readonly T[]): T {
    const one = list[Math.floor(this.#random() * list.length)];
    if (one === undefined) throw new RangeError('there is nothing to choose from');
    return one;
  }
}

/** Records in the order in which they arrive. Each payment is settled 2 to 30 hours later. */
export function generatePayments(options: Partial<PaymentOptions> = {}): PaymentRecord[] {
  const settings = { ...DEFAULTS, ...options };
  const random = seeded(settings.seed + 1);
  const arrivals: Array<{ readonly at: number; readonly record: PaymentRecord }> = [];
  for (const [index, payment] of new World(settings).payments().entries()) {
    const { card, merchant } = payment;
    const payment_id = `p_${String(index).padStart(7, '0')}`;
    const bad = random() < BAD_SHARE;
    const add = (time: number, kind: PaymentRecord['kind'], rest: { readonly chargeback?: boolean }) => {
      const whole = Math.floor(time);
      arrivals.push({
        at: whole + Math.floor(JITTER * random()),
        record: {
          event_id: `${payment_id}:${kind === 'payment.requested' ? 'requested' : 'settled'}`,
          kind,
          created_at: new Date(whole).toISOString(),
          payment_id,
          card: { token: card.token, country: card.country },
          merchant: { id: merchant.id, category: merchant.category, country: merchant.country },
          amount: { value: bad ? 0 : payment.amount, currency: 'EUR' },
          ...rest,
        },
      });
    };
    add(payment.time, 'payment.requested', {});
    const chargeback = random() < (payment.fraud ? NOTICED : DISPUTED);
    add(payment.time + (2 + 28 * random()) * HOUR, 'payment.settled', { chargeback });
  }
  // Equal arrivals keep the order in which they were made.
  return arrivals.sort((a, b) => a.at - b.at).map(({ record }) => record);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(DEFAULTS.seed) },
      from: { type: 'string', default: new Date(DEFAULTS.from).toISOString() },
      days: { type: 'string', default: String(DEFAULTS.days) },
      cards: { type: 'string', default: String(DEFAULTS.cards) },
      out: { type: 'string' },
    },
  });
  const records = generatePayments({
    seed: Number(values.seed),
    from: Date.parse(values.from),
    days: Number(values.days),
    cards: Number(values.cards),
  });
  const out = values.out === undefined ? process.stdout : createWriteStream(values.out);
  for (const record of records) if (!out.write(`${JSON.stringify(record)}\n`)) await once(out, 'drain');
  if (values.out !== undefined) {
    out.end();
    await once(out, 'finish');
    const settled = records.filter((one) => one.chargeback !== undefined);
    const share = (100 * settled.filter((one) => one.chargeback).length) / settled.length;
    console.log(`${records.length} records, ${share.toFixed(1)} % of payments charged back: ${values.out}`);
  }
}

if (import.meta.main) await main();
