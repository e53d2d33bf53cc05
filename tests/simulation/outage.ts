import { fileURLToPath } from 'node:url';
import type { Consumer, OutgoingRecord, Producer } from '../../infrastructure/kafka/port.ts';
import { decodeMeta } from '../../processors/meta.ts';
import { partitionOf } from '../../processors/partition.ts';
import { keys, topics } from '../../schemas/names.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { ALL_GUARDS, type Guards } from '../../streams/runtime/guards.ts';
import { decodeHold } from '../../streams/runtime/hold.ts';
import { isTorn } from '../../streams/runtime/state.ts';
import { pick, seeded } from './random.ts';
import { difference } from './truth.ts';
import { ALL, type Process, type StreamName, World } from './world.ts';

/** What ordinary life does to a project. */
export const TROUBLES = [
  'pause',
  'pause at an operation',
  'members come and go',
  'transactions',
  'outage',
  'burst',
  'stream away',
  'fast clock',
  'rollback',
  'store lost',
] as const;
export type Trouble = (typeof TROUBLES)[number];

export interface OutageOptions {
  readonly seed: number;
  readonly trouble?: Trouble;
  readonly guards?: Partial<Guards>;
}

/** What a history broke; empty where it kept every promise. */
export interface Verdict {
  readonly seed: number;
  readonly trouble: Trouble;
  readonly broken: readonly string[];
  readonly events: number;
  /** How often each rule held something back. */
  readonly guarded: Readonly<Partial<Record<keyof Guards, number>>>;
}

interface Payment {
  /** When its producer sends it, epoch ms; its event time is up to 3 s before. */
  readonly at: number;
  readonly time: number;
  readonly card: string;
  readonly country: string;
  readonly partition: number;
  readonly id: string;
  readonly amount: number;
}

const PARTITIONS = 3;
/** A broker session: a process that is paused for longer loses its partitions. */
const SESSION_MS = 8 * SECOND;

/** By partition, cards that Kafka's own partitioner puts there. */
const CARDS = Array.from({ length: PARTITIONS }, (_, partition) => {
  const cards: string[] = [];
  for (let i = 0; cards.length < 3; i += 1)
    if (partitionOf(`card-${i}`, PARTITIONS) === partition) cards.push(`card-${i}`);
  return cards;
});

/**
 * One seeded history of live payments over three partitions (even, or 10 : 1 : 1), some of which fall silent and wake, with one
 * trouble in the middle. Every event reaches the broker within its source's out_of_orderness, so that not one may be lost.
 */
export async function outage(options: OutageOptions): Promise<Verdict> {
  const random = seeded(options.seed);
  const trouble = options.trouble ?? pick(random, TROUBLES);
  const guarded: Partial<Record<keyof Guards, number>> = {};
  const world = await World.create({
    directory: fileURLToPath(new URL('./payments', import.meta.url)),
    partitions: PARTITIONS,
    guards: { ...ALL_GUARDS, ...options.guards },
    onGuard: (rule) => {
      guarded[rule] = (guarded[rule] ?? 0) + 1;
    },
    step: async (operation, clock) => {
      if (operation !== 'poll') await clock.sleep(Math.floor(random() * 4));
    },
  });
  const history = new History(world, random, trouble);
  const broken = await history.run();
  return { seed: options.seed, trouble, broken, events: history.events, guarded };
}

class History {
  readonly #world: World;
  readonly #random: () => number;
  readonly #trouble: Trouble;
  readonly #start: number;
  readonly #payments: Payment[] = [];
  readonly #layout: ReadonlyArray<readonly StreamName[]>;
  #processes: Process[] = [];
  readonly #bugs: unknown[] = [];
  #over = false;
  /** Event time by which features was too far ahead of readers that moved, at the most. */
  #ranAhead = 0;
  /** Requests that arrive before this, and not at the very beginning, meet no trouble. */
  #calmUntil = 0;
  /** Requests that arrive from here to there are backlog when they are seen. */
  #away: readonly [number, number] = [0, 0];

  constructor(world: World, random: () => number, trouble: Trouble) {
    this.#world = world;
    this.#random = random;
    this.#trouble = trouble;
    this.#start = world.clock.now();
    const each: ReadonlyArray<readonly StreamName[]> = [['ingest'], ['features'], ['inference']];
    this.#layout = pick(random, [
      [ALL],
      each,
      [['ingest'], ['ingest'], ['ingest'], ['features', 'inference']],
      [ALL, ALL],
    ]);
  }

  get events(): number {
    return this.#payments.length;
  }

  async run(): Promise<string[]> {
    const before = 20 * SECOND + this.#random() * 20 * SECOND;
    const away = this.#isOutage() ? 6 * MINUTE + this.#random() * 6 * MINUTE : 0;
    const after = 25 * SECOND;
    this.#plan(before, away, after);
    this.#processes = this.#layout.map((streams) => this.#startProcess(streams));
    void this.#watchPace();
    let sent = false;
    void this.#produce().then(() => {
      sent = true;
    });
    await this.#until(this.#start + before);
    this.#calmUntil = this.#world.clock.now() - 2 * SECOND;
    await this.#strike(before, away);
    const { clock } = this.#world;
    await clock.runUntil(() => sent || this.#bugs.length > 0, 30 * MINUTE);
    const answered = await this.#answered();
    this.#over = true;
    const broken = this.#bugs.map((bug) => `a process ended: ${String(bug)}`);
    if (!answered) broken.push('some request was never answered');
    await this.#stopAll();
    if (this.#ranAhead > 0)
      broken.push(`features was ${this.#ranAhead} ms of event time ahead of readers that moved`);
    return [...broken, ...(await this.#judge())];
  }

  #isOutage(): boolean {
    return ['outage', 'burst', 'stream away'].includes(this.#trouble);
  }

  /** A silent stretch of one partition covers the beginning of the trouble. */
  #plan(before: number, away: number, after: number): void {
    const random = this.#random;
    const gaps = pick(random, [
      [1_000, 1_000, 1_000],
      [700, 7_000, 7_000],
      [700, 700, 12_000],
    ]);
    const silent = Math.floor(random() * PARTITIONS);
    const silence = [
      before - 4 * SECOND - random() * 12 * SECOND,
      before + random() * Math.max(away * 0.8, 12 * SECOND),
    ];
    const fast = this.#trouble === 'fast clock' ? before + random() * 5 * SECOND : Number.POSITIVE_INFINITY;
    let fastLeft = 1;
    for (const [partition, mean] of gaps.entries()) {
      let at = 0;
      for (;;) {
        const inOutage = at > before && at < before + away;
        at += random() * 2 * mean * (inOutage ? 8 : 1);
        if (at > before + away + after) break;
        if (partition === silent && at > (silence[0] ?? 0) && at < (silence[1] ?? 0)) continue;
        const ahead = at > fast && fastLeft > 0 ? 4 * MINUTE : 0;
        if (ahead > 0) fastLeft -= 1;
        this.#payments.push({
          at: Math.round(this.#start + at),
          time: Math.floor(this.#start + at - random() * 3 * SECOND + ahead),
          card: pick(random, CARDS[partition] ?? []),
          country: pick(random, ['at', 'de']),
          partition,
          id: '',
          amount: Math.round(random() * 10_000) / 100,
        });
      }
    }
    this.#payments.sort((a, b) => a.at - b.at);
    for (const [i, payment] of this.#payments.entries()) this.#payments[i] = { ...payment, id: `p${i}` };
  }

  /** Each payment at its moment; in a burst those of the outage all at once at its end. */
  async #produce(): Promise<void> {
    const { broker, clock, codecs, project, source } = this.#world;
    const producer = await broker.kafka().producer();
    for (const { at, time, card, country, partition, id, amount } of this.#payments) {
      const [from, to] = this.#away;
      const due = this.#trouble === 'burst' && at > from && at < to ? to : at;
      await clock.sleep(due - clock.now());
      const value = codecs.encodeRaw(source.name, { id, type: 'paid', time, card, country, amount });
      const topic = topics.raw(project.prefix, source.name);
      await this.#send(producer, { topic, partition, key: Buffer.from(card), value });
    }
  }

  /** Some records go in transactions of their own, which commit a little later; some are aborted first. */
  async #send(producer: Producer, record: OutgoingRecord): Promise<void> {
    if (this.#trouble !== 'transactions' || this.#random() < 0.5) {
      await producer.send([record]);
      return;
    }
    const { broker, clock } = this.#world;
    if (this.#random() < 0.3) {
      const aborted = broker.transaction();
      aborted.append([record]);
      aborted.abort();
    }
    const transaction = broker.transaction();
    transaction.append([record]);
    await clock.sleep(Math.floor(this.#random() * 400));
    transaction.commit();
  }

  async #strike(before: number, away: number): Promise<void> {
    const random = this.#random;
    const { clock, store } = this.#world;
    switch (this.#trouble) {
      case 'pause': {
        const victim = pick(random, this.#processes);
        await this.#pause(victim, 1 * SECOND + random() * 14 * SECOND);
        break;
      }
      case 'pause at an operation':
        await this.#pauseAtOperation(pick(random, this.#processes), 1 * SECOND + random() * 14 * SECOND);
        break;
      case 'members come and go':
        for (let i = 0; i < 3; i += 1) {
          const joining = this.#startProcess(pick(random, [ALL, ['ingest'], ['features']]));
          await this.#until(clock.now() + random() * 8 * SECOND);
          if (random() < 0.5) joining.kill();
          else void joining.stop();
          await this.#until(clock.now() + random() * 3 * SECOND);
        }
        break;
      case 'outage':
      case 'burst':
        this.#away = [clock.now(), Math.round(this.#start + before + away)];
        await this.#stopAll();
        await this.#until(this.#start + before + away);
        for (const streams of this.#layout) {
          this.#processes.push(this.#startProcess(streams));
          await this.#until(clock.now() + pick(random, [0, 500, 3_000, 10_000]));
        }
        break;
      case 'stream away': {
        const at = Math.floor(random() * this.#layout.length);
        const [gone] = this.#processes.splice(at, 1);
        const { ingest, inference } = streamsOf(this.#layout, at);
        if (ingest || inference) this.#away = [clock.now(), Math.round(this.#start + before + away)];
        gone?.kill();
        await this.#until(this.#start + before + away);
        this.#processes.push(this.#startProcess(this.#layout[at] ?? ALL));
        break;
      }
      case 'rollback': {
        const snapshot = store.snapshot();
        await this.#until(clock.now() + random() * 15 * SECOND);
        store.restore(snapshot);
        break;
      }
      case 'store lost':
        store.clear();
        break;
      case 'fast clock':
      case 'transactions':
        break;
    }
  }

  /** In backlog features stays within the slack of readers that move. */
  async #watchPace(): Promise<void> {
    const { clock, model, project, store } = this.#world;
    const [view] = project.views;
    if (view === undefined) return;
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
    const hints = partitions.map((partition) => [keys.hold(project.prefix, model.name, partition)]);
    const metas = partitions.map((partition) => [
      keys.meta(keys.viewPartition(project.prefix, view.id, partition)),
    ]);
    let before: string | null = null;
    let moved = 0;
    while (!this.#over) {
      await clock.sleep(250);
      const found = (await store.read(hints)).map(([bytes = null]) => bytes);
      if (found.includes(null)) continue;
      const least = found.map((bytes) => decodeHold(bytes ?? new Uint8Array()));
      const now = least.join();
      moved = before !== null && now !== before ? moved + 1 : 0;
      before = now;
      if (moved < 4) continue;
      for (const [bytes = null] of await store.read(metas)) {
        if (bytes === null || isTorn(bytes)) continue;
        const { frontier } = decodeMeta(bytes);
        const ahead = (frontier ?? 0) - (Math.min(...least) - view.readDelay) - view.slack;
        if (frontier !== null && frontier < clock.now() - MINUTE)
          this.#ranAhead = Math.max(this.#ranAhead, ahead);
      }
    }
  }

  async #pause(victim: Process, ms: number): Promise<void> {
    const { broker, clock } = this.#world;
    const end = clock.now() + ms;
    victim.pause.stop();
    const lost: Consumer[] = [];
    if (ms > SESSION_MS) {
      await this.#until(clock.now() + SESSION_MS);
      for (const consumer of victim.consumers) {
        broker.zombify(consumer);
        lost.push(consumer);
      }
    }
    await this.#until(end);
    victim.pause.goOn();
    await this.#until(clock.now() + this.#random() * SECOND);
    for (const consumer of lost) broker.revive(consumer);
  }

  /** Stops a process before or after some operation, soon after some partition may have fallen idle. */
  async #pauseAtOperation(victim: Process, ms: number): Promise<void> {
    const random = this.#random;
    const { clock } = this.#world;
    const name = pick(random, ['atEnd', 'ends', 'commit', 'send', 'read', 'poll']);
    const when = pick(random, ['before', 'after'] as const);
    let left = 1 + Math.floor(random() * 4);
    let stopped = false;
    await this.#until(clock.now() + random() * 6 * SECOND);
    victim.pause.onOperation = (operation, moment) => {
      if (operation !== name || moment !== when || stopped) return;
      left -= 1;
      if (left > 0) return;
      stopped = true;
      victim.pause.stop();
    };
    await clock.runUntil(() => stopped, 20 * SECOND);
    victim.pause.onOperation = () => {};
    if (stopped) await this.#pause(victim, ms);
  }

  #startProcess(streams: readonly StreamName[]): Process {
    const process = this.#world.start(streams);
    process.done.catch((error: unknown) => this.#bugs.push(error));
    return process;
  }

  async #stopAll(): Promise<void> {
    let stopped = false;
    void Promise.allSettled(this.#processes.map((process) => process.stop())).then(() => {
      stopped = true;
    });
    this.#processes = [];
    await this.#world.clock.runUntil(() => stopped, MINUTE);
  }

  async #until(time: number): Promise<void> {
    const { clock } = this.#world;
    void clock.sleep(Math.ceil(time - clock.now()));
    await clock.runUntil(() => clock.now() >= time, 60 * MINUTE);
  }

  /** Whether all is answered within two minutes after the last event. */
  async #answered(): Promise<boolean> {
    const { broker, clock, model, project } = this.#world;
    const admin = await broker.kafka().admin();
    let left = Number.POSITIVE_INFINITY;
    for (const end = clock.now() + 2 * MINUTE; clock.now() < end && left > 0; ) {
      await this.#until(clock.now() + SECOND);
      const ends = await admin.offsets(topics.predictions(project.prefix, model.name));
      left = this.#payments.length - ends.reduce((sum, { end: at }) => sum + at, 0);
    }
    return left <= 0;
  }

  async #judge(): Promise<string[]> {
    const world = this.#world;
    const broken: string[] = [];
    const accepted = await world.accepted();
    const letters = await world.deadLetters();
    for (const { code, sourcePartition, sourceOffset, writer } of letters)
      broken.push(`${code} of ${writer}: partition ${sourcePartition} offset ${sourceOffset}`);
    const { first } = await world.predictions();
    const requests = new Map(accepted.map((one) => [one.event.id, one]));
    if (requests.size !== this.#payments.length)
      broken.push(`accepted ${requests.size} of ${this.#payments.length}`);
    if (first.length !== requests.size) broken.push(`answered ${first.length} of ${requests.size}`);
    const [from, to] = this.#away;
    for (const prediction of first) {
      const request = requests.get(prediction.requestId);
      if (request === undefined) continue;
      const { reason, reads, requestId, status } = prediction;
      const backlog = request.appendTime > from && request.appendTime < to - 3 * SECOND;
      if (status === 'refused') {
        if (backlog || reason === 'behind') broken.push(`${requestId} refused: ${reason}`);
        continue;
      }
      const calm = request.appendTime > this.#start + 12 * SECOND && request.appendTime < this.#calmUntil;
      if (calm && reads.some(({ asOf, head }) => asOf < head))
        broken.push(
          `${requestId} answered below its full head without any trouble: ${JSON.stringify({ reads, waitMs: prediction.waitMs, at: request.appendTime - this.#start, p: request.partition })}`,
        );
      if (backlog && reads.some(({ asOf, head }) => asOf < head))
        broken.push(`${requestId} answered below its full head in backlog`);
      const wrong = difference(world, accepted, letters, prediction, request);
      if (wrong !== null) broken.push(wrong);
    }
    return broken;
  }
}

function streamsOf(
  layout: ReadonlyArray<readonly StreamName[]>,
  at: number,
): { readonly ingest: boolean; readonly inference: boolean } {
  const gone = layout[at] ?? [];
  const others = layout.filter((_, i) => i !== at).flat();
  return {
    ingest: gone.includes('ingest') && !others.includes('ingest'),
    inference: gone.includes('inference') && !others.includes('inference'),
  };
}
