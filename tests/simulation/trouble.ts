import { fileURLToPath } from 'node:url';
import type { OutgoingRecord, Producer } from '../../infrastructure/kafka/port.ts';
import { decodeMeta } from '../../processors/meta.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { ALL_GUARDS, type Guards } from '../../streams/runtime/guards.ts';
import { decodeHold } from '../../streams/runtime/hold.ts';
import { isTorn } from '../../streams/runtime/state.ts';
import { type Expectations, judgeAnswers, judgeIngest } from './judge.ts';
import { PARTITIONS, type Payment, payments } from './payments.ts';
import { pick, seeded } from './random.ts';
import { ALL, type Process, type StreamName, World } from './world.ts';

/** What ordinary life does to a project. */
export const TROUBLES = [
  'pause',
  'pause at an operation',
  'two pauses',
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

export interface TroubleOptions {
  readonly seed: number;
  /** All streams, or ingest alone, judged by the view topics that it wrote: six times as fast. */
  readonly streams: 'all' | 'ingest';
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

/** A broker's session: a process that is paused for longer loses its partitions. */
const SESSION_MS = 8 * SECOND;

type Layout = ReadonlyArray<readonly StreamName[]>;
const INGEST: readonly StreamName[] = ['ingest'];
const LAYOUTS: Readonly<Record<TroubleOptions['streams'], readonly Layout[]>> = {
  ingest: [[INGEST], [INGEST, INGEST], [INGEST, INGEST, INGEST]],
  all: [
    [ALL],
    [INGEST, ['features'], ['inference']],
    [INGEST, INGEST, INGEST, ['features', 'inference']],
    [ALL, ALL],
  ],
};

/**
 * One seeded history of live payments over three partitions, with one trouble in the middle. Every event reaches the broker
 * within its source's out_of_orderness, so that not one may be lost.
 */
export async function trouble(options: TroubleOptions): Promise<Verdict> {
  const random = seeded(options.seed);
  const kind = options.trouble ?? pick(random, TROUBLES);
  const guarded: Partial<Record<keyof Guards, number>> = {};
  const world = await World.create({
    directory: fileURLToPath(new URL('./payments', import.meta.url)),
    partitions: PARTITIONS,
    guards: { ...ALL_GUARDS, ...options.guards },
    ...(['outage', 'burst', 'stream away'].includes(kind) ? { edit: impatient } : {}),
    // Small polls spread the partitions of a backlog; large ones are as in life.
    pollRecords: pick(random, [(asked: number) => asked, (asked: number) => Math.min(asked, 5)]),
    onGuard: (rule) => {
      guarded[rule] = (guarded[rule] ?? 0) + 1;
    },
    step: async (operation, clock) => {
      if (operation !== 'poll') await clock.sleep(Math.floor(random() * 4));
    },
  });
  const history = new History(world, random, kind, pick(random, LAYOUTS[options.streams]));
  const broken = await history.run();
  const judge = options.streams === 'all' ? judgeAnswers : judgeIngest;
  broken.push(...(await judge(world, history.expectations)));
  return { seed: options.seed, trouble: kind, broken, events: history.expectations.payments, guarded };
}

/** Live nobody waits at the gate, so that whoever is answered at a full head was waited for. */
function impatient(project: Project): Project {
  return {
    ...project,
    models: project.models.map((model) => ({ ...model, gate: { ...model.gate, maxWait: 0 } })),
  };
}

class History {
  readonly #world: World;
  readonly #random: () => number;
  readonly #trouble: Trouble;
  readonly #layout: Layout;
  readonly #payments: readonly Payment[];
  /** When the trouble begins and ends, epoch ms. */
  readonly #begin: number;
  readonly #end: number;
  readonly #pace: PaceWatch;
  readonly #bugs: unknown[] = [];
  #processes: Process[] = [];
  #expectations: Expectations;

  constructor(world: World, random: () => number, kind: Trouble, layout: Layout) {
    this.#world = world;
    this.#random = random;
    this.#trouble = kind;
    this.#layout = layout;
    this.#pace = new PaceWatch(world);
    const start = world.clock.now();
    const before = Math.round(9 * SECOND + random() * 6 * SECOND);
    const long = ['outage', 'burst', 'stream away'].includes(kind);
    const away = long ? Math.round(100 * SECOND + random() * 80 * SECOND) : 0;
    const fast = kind === 'fast clock' ? { ms: 4 * MINUTE, events: pick(random, [1, 1_000]) } : NOT_FAST;
    this.#payments = payments({ random, start, before, away, after: 12 * SECOND, fast });
    this.#begin = start + before;
    this.#end = start + before + away;
    this.#expectations = {
      payments: this.#payments.length,
      // Transactions are open all along, and whoever waits for one has no full head meanwhile.
      calm:
        world.model.gate.maxWait === 0 || kind === 'transactions'
          ? [0, 0]
          : [start + 6 * SECOND, this.#begin - 2 * SECOND],
      away: [0, 0],
    };
  }

  get expectations(): Expectations {
    return this.#expectations;
  }

  async run(): Promise<string[]> {
    const { clock } = this.#world;
    this.#processes = this.#layout.map((streams) => this.#start(streams));
    void this.#pace.run();
    let sent = false;
    void this.#produce().then(() => {
      sent = true;
    });
    await this.#until(this.#begin);
    await this.#strike();
    await clock.runUntil(() => sent || this.#bugs.length > 0, 30 * MINUTE);
    const worked = await this.#allWorked();
    this.#pace.stop();
    await this.#stopAll();
    const broken = this.#bugs.map((bug) => `a process ended: ${String(bug)}`);
    if (!worked) broken.push('something was not worked within two minutes');
    if (this.#pace.aheadMs > 0)
      broken.push(`features was ${this.#pace.aheadMs} ms of event time too far ahead of readers that moved`);
    return broken;
  }

  /** Each payment at its moment; in a burst those of the outage all at once shortly before its end. */
  async #produce(): Promise<void> {
    const { broker, clock, codecs, project, source } = this.#world;
    const producer = await broker.kafka().producer();
    const topic = topics.raw(project.prefix, source.name);
    for (const { at, time, card, country, partition, id, amount } of this.#payments) {
      const late = this.#trouble === 'burst' && at > this.#begin && at < this.#end;
      await clock.sleep((late ? this.#end - 5 * SECOND : at) - clock.now());
      const value = codecs.encodeRaw(source.name, { id, type: 'paid', time, card, country, amount });
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

  async #strike(): Promise<void> {
    const random = this.#random;
    const { clock, store } = this.#world;
    const pauseMs = Math.round(0.5 * SECOND + random() * 11 * SECOND);
    switch (this.#trouble) {
      case 'pause':
        await this.#until(clock.now() + random() * 3 * SECOND);
        return this.#pause(pick(random, this.#processes), pauseMs);
      case 'pause at an operation':
        return this.#pauseAtOperation(pick(random, this.#processes), pauseMs);
      case 'two pauses':
        return this.#pauseTwice();
      case 'members come and go':
        return this.#comeAndGo();
      case 'outage':
      case 'burst':
        return this.#outage();
      case 'stream away':
        return this.#streamAway();
      case 'rollback': {
        const snapshot = store.snapshot();
        await this.#until(clock.now() + random() * 10 * SECOND);
        return store.restore(snapshot);
      }
      case 'store lost':
        return store.clear();
      case 'fast clock':
      case 'transactions':
    }
  }

  async #comeAndGo(): Promise<void> {
    const random = this.#random;
    const { clock } = this.#world;
    for (let i = 0; i < 3; i += 1) {
      const joining = this.#start(pick(random, this.#layout));
      await this.#until(clock.now() + random() * 4 * SECOND);
      if (random() < 0.5) joining.kill();
      else void joining.stop();
      await this.#until(clock.now() + random() * 2 * SECOND);
    }
  }

  async #outage(): Promise<void> {
    const { clock } = this.#world;
    this.#expectBacklog();
    await this.#stopAll();
    await this.#until(this.#end);
    for (const streams of this.#layout) {
      this.#processes.push(this.#start(streams));
      await this.#until(clock.now() + pick(this.#random, [0, 500, 3_000]));
    }
  }

  async #streamAway(): Promise<void> {
    const at = Math.floor(this.#random() * this.#layout.length);
    const [gone] = this.#processes.splice(at, 1);
    const streams = this.#layout[at] ?? ALL;
    const others = this.#layout.filter((_, i) => i !== at).flat();
    const missing = (name: StreamName) => streams.includes(name) && !others.includes(name);
    if (missing('ingest') || missing('inference')) this.#expectBacklog();
    gone?.kill();
    await this.#until(this.#end);
    this.#processes.push(this.#start(streams));
  }

  /** What arrives until shortly before the end of the trouble is old when it is seen. */
  #expectBacklog(): void {
    const from = this.#world.clock.now();
    this.#expectations = { ...this.#expectations, away: [from, this.#end - 3 * SECOND] };
  }

  async #pause(victim: Process, ms: number): Promise<void> {
    const { broker, clock } = this.#world;
    const end = clock.now() + ms;
    victim.pause.stop();
    const lost = ms > SESSION_MS ? [...victim.consumers] : [];
    if (lost.length > 0) await this.#until(clock.now() + SESSION_MS);
    for (const consumer of lost) broker.zombify(consumer);
    await this.#until(end);
    victim.pause.goOn();
    await this.#until(clock.now() + this.#random() * SECOND);
    for (const consumer of lost) broker.revive(consumer);
  }

  /** Stops a process before or after some operation, about when partitions fall idle and wake. */
  async #pauseAtOperation(victim: Process, ms: number): Promise<void> {
    const random = this.#random;
    const name = pick(random, ['atEnd', 'ends', 'commit', 'send', 'read', 'poll']);
    const when = pick(random, ['before', 'after'] as const);
    let left = 1 + Math.floor(random() * 4);
    await this.#until(this.#world.clock.now() + random() * 4 * SECOND);
    const stopped = await this.#stopAt(victim, (operation, moment) => {
      if (operation === name && moment === when) left -= 1;
      return left === 0;
    });
    if (stopped) await this.#pause(victim, ms);
  }

  /**
   * A process is stopped while it says that a partition is idle, for longer than its session; it says so when it goes on, and the owner
   * by then is stopped for a while:
   *
   *   first    ─ asks, tells the store, asks ║             ║ "idle" ─
   *   second                                   owns, wakes ─║      ║─ works what came meanwhile
   */
  async #pauseTwice(): Promise<void> {
    const random = this.#random;
    const victim = pick(random, this.#processes);
    let before = '';
    const stopped = await this.#stopAt(victim, (operation, moment) => {
      const tells = operation === 'send' && moment === 'before' && before === 'ends';
      if (moment === 'before') before = operation;
      return tells;
    });
    if (!stopped) return;
    await this.#pause(victim, SESSION_MS + random() * 4 * SECOND);
    await this.#pause(pick(random, this.#processes), SECOND + random() * 6 * SECOND);
  }

  /** Stops a process at the operation that `is` says; false where none came in time. */
  async #stopAt(
    victim: Process,
    is: (operation: string, when: 'before' | 'after') => boolean,
  ): Promise<boolean> {
    let stopped = false;
    victim.pause.onOperation = (operation, when) => {
      if (stopped || !is(operation, when)) return;
      stopped = true;
      victim.pause.stop();
    };
    await this.#world.clock.runUntil(() => stopped, 10 * SECOND);
    victim.pause.onOperation = () => {};
    return stopped;
  }

  #start(streams: readonly StreamName[]): Process {
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

  /** Whether every payment comes out at the end within two minutes. */
  async #allWorked(): Promise<boolean> {
    const world = this.#world;
    const { clock } = world;
    const answers = this.#layout.flat().includes('inference');
    for (const end = clock.now() + 2 * MINUTE; clock.now() < end; await this.#until(clock.now() + SECOND)) {
      const { length } = answers ? (await world.predictions()).first : await world.accepted();
      if (length >= this.#payments.length) return true;
    }
    return false;
  }
}

const NOT_FAST = { ms: 0, events: 0 };

/** Watches that features, in backlog, stays within the slack of readers that move. */
class PaceWatch {
  readonly #world: World;
  #stopped = false;
  /** Event time by which features was too far ahead, at the most, ms. */
  aheadMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    const { clock, model, project, store } = this.#world;
    const [view] = project.views;
    if (view === undefined) return;
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
    const hints = partitions.map((partition) => [keys.hold(project.prefix, model.name, partition)]);
    const metas = partitions.map((partition) => [
      keys.meta(keys.viewPartition(project.prefix, view.id, partition)),
    ]);
    let before = '';
    let moved = 0;
    while (!this.#stopped) {
      await clock.sleep(250);
      const found = (await store.read(hints)).flatMap(([bytes = null]) => (bytes === null ? [] : [bytes]));
      if (found.length < PARTITIONS) continue;
      const least = found.map(decodeHold);
      moved = least.join() === before ? 0 : moved + 1;
      before = least.join();
      if (moved < 4) continue;
      for (const [bytes = null] of await store.read(metas)) {
        if (bytes === null || isTorn(bytes)) continue;
        const { frontier } = decodeMeta(bytes);
        // In backlog: the frontier is long ago.
        if (frontier === null || frontier > clock.now() - 30 * SECOND) continue;
        const ahead = frontier - (Math.min(...least) - view.readDelay) - view.slack;
        this.aheadMs = Math.max(this.aheadMs, ahead);
      }
    }
  }
}
