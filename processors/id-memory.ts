import type { Deduplication } from '../schemas/project.ts';
import { SMALLEST_MEMORY } from '../schemas/remembered.ts';
import { HASH, hashText } from './text-hash.ts';

/** An accepted event that a memory of ids knows. */
export interface RememberedId {
  /** Raw offset. */
  readonly offset: number;
  /** The memory's clock when it was accepted, epoch ms. */
  readonly at: number;
}

/** Where a memory begins. With the accepted events from there on, the same memory is built again. */
export interface MemoryStart extends Deduplication {
  /** The oldest raw offset that is remembered. */
  readonly from: number;
  /** The memory's clock at that offset, epoch ms; null where nothing is remembered. */
  readonly at: number | null;
}

/**
 * The ids of the events that one raw partition accepted lately. An id is remembered for `within` of arrival time, and while it is among the
 * last `atMost` accepted ones. The memory's clock is the largest arrival of an accepted event, so it never goes back, and what is remembered
 * depends on the accepted events alone: not on how they were cut into batches.
 *
 * Ids are kept as hashes of 64 bits: with a million of them, a new id is taken for a known one once in 2 * 10^13 events.
 *
 * What is added is provisional until `keep`; `drop` takes it back.
 */
export class IdMemory {
  readonly #rule: Deduplication;
  /** Rings by ordinal: the low bits of an ordinal are its slot. */
  #high = new Uint32Array(SMALLEST_MEMORY);
  #low = new Uint32Array(SMALLEST_MEMORY);
  #at = new Float64Array(SMALLEST_MEMORY);
  #offset = new Float64Array(SMALLEST_MEMORY);
  /** Open addressing by the low half of the hash: slot + 1, or 0 where free. */
  #index = new Int32Array(SMALLEST_MEMORY * 2);
  /** Ordinals: remembered are begin <= ordinal < end; below `kept` they are no longer provisional. */
  #begin = 0;
  #kept = 0;
  #end = 0;
  /** The id that was hashed last, and the halves of its hash: what is not found is added next. */
  #id: string | null = null;
  #idHigh = 0;
  #idLow = 0;
  #clock = Number.NEGATIVE_INFINITY;
  #keptClock = Number.NEGATIVE_INFINITY;

  constructor(rule: Deduplication) {
    this.#rule = rule;
  }

  get size(): number {
    return this.#end - this.#begin;
  }

  /** The accepted event that a record of this id repeats; null where it repeats none. `arrival`: epoch ms. */
  find(id: string, arrival: number): RememberedId | null {
    const { within, atMost } = this.#rule;
    this.#hash(id);
    const high = this.#idHigh;
    const low = this.#idLow;
    const now = Math.max(this.#clock, arrival);
    const mask = this.#index.length - 1;
    for (let i = low & mask; ; i = (i + 1) & mask) {
      const slot = (this.#index[i] as number) - 1;
      if (slot < 0) return null;
      if (this.#low[slot] !== low || this.#high[slot] !== high) continue;
      const at = this.#at[slot] as number;
      if (now - at <= within && this.#age(slot) < atMost) return { offset: this.#offset[slot] as number, at };
    }
  }

  /** Remembers the id of an accepted event. Offsets ascend. */
  add(id: string, arrival: number, offset: number): void {
    if (this.size === this.#at.length) this.#grow();
    this.#hash(id);
    this.#clock = Math.max(this.#clock, arrival);
    const slot = this.#end & (this.#at.length - 1);
    this.#high[slot] = this.#idHigh;
    this.#low[slot] = this.#idLow;
    this.#at[slot] = this.#clock;
    this.#offset[slot] = offset;
    this.#end += 1;
    this.#enter(slot);
  }

  /** Keeps what was added, and forgets what is too old or too much. Answers with how many were forgotten before their time. */
  keep(): number {
    const { within, atMost } = this.#rule;
    this.#kept = this.#end;
    this.#keptClock = this.#clock;
    let early = 0;
    while (this.size > 0) {
      const old = this.#clock - (this.#at[this.#begin & (this.#at.length - 1)] as number) > within;
      if (!old && this.size <= atMost) break;
      this.#leave(this.#begin & (this.#at.length - 1));
      this.#begin += 1;
      if (!old) early += 1;
    }
    this.#kept = Math.max(this.#kept, this.#begin);
    return early;
  }

  /** Takes back what was added since it was last kept. */
  drop(): void {
    while (this.#end > this.#kept) {
      this.#end -= 1;
      this.#leave(this.#end & (this.#at.length - 1));
    }
    this.#clock = this.#keptClock;
  }

  /** Where it begins, as of the last `keep`; `next` is the raw offset after the last one worked. */
  start(next: number): MemoryStart {
    const slot = this.#begin & (this.#at.length - 1);
    const known = this.#kept > this.#begin;
    return {
      ...this.#rule,
      from: known ? (this.#offset[slot] as number) : next,
      at: known ? (this.#at[slot] as number) : Number.isFinite(this.#keptClock) ? this.#keptClock : null,
    };
  }

  /** Sets the clock of a memory that is built again. */
  begin(at: number | null): void {
    if (at !== null) this.#clock = Math.max(this.#clock, at);
  }

  #hash(id: string): void {
    if (id === this.#id) return;
    hashText(id);
    this.#id = id;
    this.#idHigh = HASH[0] as number;
    this.#idLow = HASH[1] as number;
  }

  /** How many ids were added after that of a slot. */
  #age(slot: number): number {
    const mask = this.#at.length - 1;
    return (this.#end - 1 - slot) & mask;
  }

  #enter(slot: number): void {
    const mask = this.#index.length - 1;
    let i = (this.#low[slot] as number) & mask;
    while (this.#index[i] !== 0) i = (i + 1) & mask;
    this.#index[i] = slot + 1;
  }

  /** Frees a slot's place in the index; later ones move up, so that no search stops short of them. */
  #leave(slot: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let free = (this.#low[slot] as number) & mask;
    while (index[free] !== slot + 1) free = (free + 1) & mask;
    for (let i = (free + 1) & mask; index[i] !== 0; i = (i + 1) & mask) {
      const home = (this.#low[(index[i] as number) - 1] as number) & mask;
      if (((i - home) & mask) < ((i - free) & mask)) continue;
      index[free] = index[i] as number;
      free = i;
    }
    index[free] = 0;
  }

  #grow(): void {
    const before = { high: this.#high, low: this.#low, at: this.#at, offset: this.#offset };
    const mask = before.at.length - 1;
    const capacity = before.at.length * 2;
    this.#high = new Uint32Array(capacity);
    this.#low = new Uint32Array(capacity);
    this.#at = new Float64Array(capacity);
    this.#offset = new Float64Array(capacity);
    this.#index = new Int32Array(capacity * 2);
    for (let ordinal = this.#begin; ordinal < this.#end; ordinal += 1) {
      const from = ordinal & mask;
      const to = ordinal & (capacity - 1);
      this.#high[to] = before.high[from] as number;
      this.#low[to] = before.low[from] as number;
      this.#at[to] = before.at[from] as number;
      this.#offset[to] = before.offset[from] as number;
      this.#enter(to);
    }
  }
}
