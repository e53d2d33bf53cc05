import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka, OutgoingRecord, Producer } from '../../../infrastructure/kafka/port.ts';
import { partitionOf } from '../../../processors/partition.ts';
import type { EventRecord } from '../../../schemas/event.ts';
import { seeded } from '../../simulation/random.ts';
import { PARTITIONS } from './project.ts';

/** How the volume is spread over the partitions. */
const SHARES = [10, 1, 1].map((share) => share / 12);
const TICK_MS = 20;
/** Some events travel for this part of outOfOrderness before they are sent, and so come out of order. */
const TRAVEL = 0.3;

export interface TrafficOptions {
  readonly seed: number;
  readonly perSecond: number;
  readonly outOfOrdernessMs: number;
  /** How long silences are planned for, ms. */
  readonly forMs: number;
  readonly cards: number;
  readonly merchants: number;
}

/** A partition that is silent between two moments, ms after the traffic began. */
export interface Silence {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** An event, and when it is sent, ms after the traffic began. */
export interface Planned {
  readonly at: number;
  readonly partition: number;
  readonly event: EventRecord;
}

/** After how long without a record a partition may fall idle, ms. */
export const idleAfterMs = (outOfOrdernessMs: number) => Math.max(1_000, outOfOrdernessMs);

/**
 * Good traffic from a seed: events at their moment, volumes 10:1:1, the second partition silent at times and the third often,
 * some for so long that it falls idle and some not. Times of events are ms after `start`.
 */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #random: () => number;
  readonly #cards: readonly string[][];
  readonly #next: number[];
  readonly silences: readonly Silence[];
  #count = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
    this.#cards = cardsOf(options.cards);
    this.silences = [1, 2].flatMap((partition) => this.#silencesOf(partition));
    this.#next = SHARES.map((_, partition) => this.#gap(partition));
  }

  /** What is sent up to `now`, in order for each partition. Ask with a rising `now`. */
  upTo(now: number, start: number): Planned[] {
    const planned: Planned[] = [];
    for (const partition of SHARES.keys()) {
      for (let at = this.#next[partition] ?? 0; ; ) {
        const silence = this.silences.find(
          (one) => one.partition === partition && at >= one.from && at < one.to,
        );
        if (silence !== undefined) at = silence.to;
        this.#next[partition] = at;
        if (at > now) break;
        planned.push({ at: Math.floor(at), partition, event: this.#event(partition, start + at) });
        at += this.#gap(partition);
      }
    }
    return planned.sort((a, b) => a.at - b.at);
  }

  /** One request of each card, and so of each partition. */
  probes(time: number): Planned[] {
    return this.#cards.flatMap((cards, partition) =>
      cards.map((card) => ({ at: 0, partition, event: this.#request(`probe-${card}`, card, time) })),
    );
  }

  /** One event of each partition, so that time goes on. */
  ticks(time: number): Planned[] {
    return this.#cards.map((cards, partition) => ({
      at: 0,
      partition,
      event: { ...this.#request(`tick-${partition}-${time}`, cards[0] ?? '', time), type: 'payment.settled' },
    }));
  }

  #silencesOf(partition: number): Silence[] {
    const idleMs = idleAfterMs(this.#options.outOfOrdernessMs);
    const awakeMs = partition === 1 ? 8_000 : 3_000;
    const silences: Silence[] = [];
    for (let at = 0; at < this.#options.forMs; ) {
      const from = Math.round(at + (0.5 + this.#random()) * awakeMs);
      const to = Math.round(from + (0.5 + this.#random() * 2) * idleMs);
      silences.push({ partition, from, to });
      at = to;
    }
    return silences;
  }

  #gap(partition: number): number {
    const meanMs = 1_000 / (this.#options.perSecond * (SHARES[partition] ?? 1));
    return -Math.log(1 - this.#random()) * meanMs;
  }

  #event(partition: number, sentAt: number): EventRecord {
    const cards = this.#cards[partition] ?? [];
    const card = cards[Math.floor(this.#random() * cards.length)] ?? '';
    const travel = this.#random() < 0.3 ? this.#random() * TRAVEL * this.#options.outOfOrdernessMs : 0;
    const type = this.#random() < 0.7 ? 'payment.requested' : 'payment.settled';
    this.#count += 1;
    return { ...this.#request(`e${this.#count}`, card, Math.floor(sentAt - travel)), type };
  }

  #request(id: string, card: string, time: number): EventRecord {
    const merchant = `m${Math.floor(this.#random() * this.#options.merchants)}`;
    const amount = Math.round(this.#random() * 90_000) / 100;
    return { id, type: 'payment.requested', time, card, merchant, amount };
  }
}

/** Names of cards, by the partition that they lie in. */
function cardsOf(count: number): string[][] {
  const cards: string[][] = SHARES.map(() => []);
  for (let i = 0; i < count; i += 1) {
    const card = `c${i}`;
    cards[partitionOf(card, PARTITIONS)]?.push(card);
  }
  return cards;
}

export interface LiveOptions {
  readonly kafka: Pick<Kafka, 'producer'>;
  readonly topic: string;
  readonly encode: (event: EventRecord) => Uint8Array;
  /** An event that waits for longer is dropped by its producer, ms: so what is sent is at its moment. */
  readonly dropAfterMs: number;
}

/** Sends traffic as it comes due, through every outage of the brokers. */
export class LiveProducer {
  readonly #options: LiveOptions;
  #producer: Producer | null = null;
  #stopped = false;
  sent = 0;
  dropped = 0;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Until `stop`. `start` is epoch ms. */
  async run(traffic: Traffic, start: number): Promise<void> {
    while (!this.#stopped) {
      const now = Date.now();
      const due = traffic.upTo(now - start, start);
      const fresh = due.filter(({ at }) => now - start - at <= this.#options.dropAfterMs);
      this.dropped += due.length - fresh.length;
      await this.send(fresh);
      await sleep(TICK_MS);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  async send(planned: readonly Planned[]): Promise<void> {
    if (planned.length === 0) return;
    const { topic, encode, kafka } = this.#options;
    const records = planned.map(
      ({ partition, event }): OutgoingRecord => ({
        topic,
        partition,
        key: Buffer.from(String(event.card)),
        value: encode(event),
      }),
    );
    try {
      this.#producer ??= await kafka.producer();
      await this.#producer.send(records);
      this.sent += records.length;
    } catch {
      // Stored or not: the raw topic tells. A producer that failed is dead.
      this.dropped += records.length;
      await this.close();
    }
  }

  async close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    await producer?.close().catch(() => {});
  }
}
