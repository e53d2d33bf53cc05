import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, nameOf } from './address.ts';
import { type Connection, createConnection } from './connection.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import { failureOf, type Send, type Servers, type ServersOptions } from './servers.ts';
import { isOneSlot, slotOf } from './slots.ts';

/** How often the cluster is asked who holds what. */
const LOOK_EVERY_MS = 1_000;
/** A node that cannot be reached is waited for so long before the others are asked who has taken over. */
const NODE_WAIT_MS = 250;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 200;
const TELL_AFTER_MS = 1_000;
/** A node that was replaced and says nothing for so long is hung: whatever waits for it is given up. */
const SILENT_MS = 2_000;

type SlotRange = [
  first: number,
  last: number,
  primary: [host: string | null, port: number, ...rest: unknown[]],
];

/** What a node answers that does not serve a slot (now). */
const REDIRECT = /^(MOVED|ASK) \d+ (.*):(\d+)/;
const WAITS = /^(TRYAGAIN|CLUSTERDOWN|READONLY|LOADING|MASTERDOWN)/;

const hostOf = (text: string, from: Connection): string => (text === '' ? fallbackHost(from) : text);
const fallbackHost = ({ where }: Connection) => where.slice(0, where.lastIndexOf(':'));

/**
 * The primaries of a Redis Cluster. Each call goes to the server of its slot, follows a slot that moves (MOVED, ASK, TRYAGAIN) and
 * a primary that fails over, and gives up after ten seconds. A command that was sent and not answered is never sent again.
 */
export function createCluster(options: ServersOptions, seeds: readonly Connection[]): Servers {
  // A failover or the move of a slot takes seconds.
  const patienceMs = 2 * (options.connectWaitMs ?? 5_000);
  const nodes = new Map(seeds.map((seed) => [seed.where, seed]));
  /** `host:port` of the primary of each slot. */
  let owners: readonly (string | undefined)[] = [];
  let looking: Promise<void> | undefined;
  let turn = 0;
  let closed = false;

  function nodeAt(host: Host): Connection {
    const name = nameOf(host);
    let node = nodes.get(name);
    if (node === undefined) {
      node = createConnection(options, host);
      nodes.set(name, node);
    }
    return node;
  }

  /** Asks the nodes in turn, so that one with an old view of the cluster is not asked again and again. */
  async function ask(): Promise<void> {
    const all = [...nodes.values()];
    turn += 1;
    for (let i = 0; i < all.length; i += 1) {
      const node = all[(turn + i) % all.length];
      if (node === undefined || node.silentMs() > SILENT_MS) continue;
      const ranges = await node.redis.cluster('SLOTS').catch(() => null);
      if (!Array.isArray(ranges) || ranges.length === 0) continue;
      take(node, ranges as unknown as SlotRange[]);
      return;
    }
  }

  function take(from: Connection, ranges: readonly SlotRange[]): void {
    const found: (string | undefined)[] = new Array(16_384).fill(undefined);
    for (const [first, last, [host, port]] of ranges)
      found.fill(nameOf({ host: hostOf(host ?? '', from), port }), first, last + 1);
    owners = found;
    const primaries = new Set(found);
    for (const [name, node] of nodes) if (!primaries.has(name) && node.silentMs() > SILENT_MS) node.drop();
    for (const [, , [host, port]] of ranges) nodeAt({ host: hostOf(host ?? '', from), port });
  }

  function look(): Promise<void> {
    looking ??= ask().finally(() => {
      looking = undefined;
    });
    return looking;
  }
  const watch = setInterval(() => void look(), LOOK_EVERY_MS).unref();

  async function ownerOf(slot: number): Promise<Connection | undefined> {
    if (owners[slot] === undefined) await look();
    const name = owners[slot];
    return name === undefined ? undefined : nodes.get(name);
  }

  /** One try: the answer, or where to look next. */
  async function attempt<T>(to: Connection, asking: boolean, send: Send<T>): Promise<Tried<T>> {
    try {
      await to.ready(NODE_WAIT_MS);
    } catch (error) {
      const failure = storeErrorOf(error, to.where);
      if (failure.retriable) return { status: 'wait', failure };
      throw failure;
    }
    try {
      return { status: 'done', value: await send(to, asking) };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const [, kind, host = '', port] = REDIRECT.exec(text) ?? [];
      if (kind !== undefined)
        return {
          status: kind === 'ASK' ? 'ask' : 'moved',
          to: nodeAt({ host: hostOf(host, to), port: Number(port) }),
        };
      const failure = failureOf(to, error);
      // It was refused, or never left this process: it may go again.
      if (WAITS.test(text) || failure.code === 'unreachable') return { status: 'wait', failure };
      throw failure;
    }
  }

  async function at<T>(key: string, send: Send<T>): Promise<T> {
    const slot = slotOf(key);
    const wait = new Wait(slot, patienceMs, options.onWait);
    let next: Connection | undefined;
    let asking = false;
    try {
      for (;;) {
        if (closed) throw new StoreError('closed', 'The connection to the Redis Cluster is closed.');
        const to = next ?? (await ownerOf(slot));
        const tried: Tried<T> =
          to === undefined ? { status: 'wait', failure: unserved(slot) } : await attempt(to, asking, send);
        if (tried.status === 'done') return tried.value;
        next = undefined;
        asking = false;
        if (tried.status === 'wait') await wait.pause(tried.failure);
        else {
          next = tried.to;
          asking = tried.status === 'ask';
          if (!asking) {
            owners = owners.with(slot, next.where);
            await wait.turn();
          }
        }
        if (tried.status !== 'ask') void look();
      }
    } finally {
      wait.end();
    }
  }

  /** Who holds a slot now, and whether it stays there. */
  async function placeOf(slot: number): Promise<{ readonly to: Connection; readonly moves: boolean } | null> {
    await look();
    const to = await ownerOf(slot);
    if (to === undefined) return null;
    await to.ready(NODE_WAIT_MS).catch(() => undefined);
    const text = await to.redis.cluster('NODES').catch(() => null);
    return typeof text === 'string' ? { to, moves: text.includes(`[${slot}-`) } : null;
  }

  /** All keys of one slot: listed again where the slot moved, or its server changed, meanwhile. */
  async function* keysOfSlot(
    prefix: string,
    list: (one: Connection) => AsyncIterable<string>,
  ): AsyncGenerator<string> {
    const slot = slotOf(prefix);
    const wait = new Wait(slot, patienceMs, options.onWait);
    try {
      for (;;) {
        const before = await placeOf(slot);
        if (before !== null && !before.moves) {
          const found = await allOf(list(before.to)).catch((error: unknown) => {
            const failure = storeErrorOf(error, before.to.where);
            if (!failure.retriable) throw failure;
            return null;
          });
          const after = await placeOf(slot);
          if (found !== null && after?.to === before.to && !after.moves) {
            yield* found;
            return;
          }
        }
        await wait.pause(before === null ? unserved(slot) : moving(slot, before.to));
      }
    } finally {
      wait.end();
    }
  }

  async function* keysOfAll(list: (one: Connection) => AsyncIterable<string>): AsyncGenerator<string> {
    await look();
    for (const name of new Set(owners)) {
      const node = name === undefined ? undefined : nodes.get(name);
      if (node !== undefined) yield* list(node);
    }
  }

  return {
    cluster: true,
    at,
    keys: (prefix, list) => (isOneSlot(prefix) ? keysOfSlot(prefix, list) : keysOfAll(list)),
    async close() {
      closed = true;
      clearInterval(watch);
      await Promise.all([...nodes.values()].map((node) => node.close()));
    },
  };
}

async function allOf<T>(list: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of list) all.push(one);
  return all;
}

type Tried<T> =
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'moved' | 'ask'; readonly to: Connection }
  | { readonly status: 'wait'; readonly failure: StoreError };

const unserved = (slot: number) =>
  new StoreError(
    'busy',
    `No node of the Redis Cluster says that it serves slot ${slot}; look at CLUSTER NODES.`,
  );

const moving = (slot: number, { where }: Connection) =>
  new StoreError(
    'busy',
    `Slot ${slot} of the Redis Cluster is on its way from or to ${where}; its keys can be listed once it is there.`,
  );

/** How long one call has looked for its server. */
class Wait {
  readonly #slot: number;
  readonly #patienceMs: number;
  readonly #tell: ServersOptions['onWait'];
  readonly #since = performance.now();
  #pauseMs = FIRST_PAUSE_MS;
  #told = false;

  constructor(slot: number, patienceMs: number, tell: ServersOptions['onWait']) {
    this.#slot = slot;
    this.#patienceMs = patienceMs;
    this.#tell = tell;
  }

  /** Tries again in a moment. Throws the failure where that has gone on for too long. */
  async pause(failure: StoreError): Promise<void> {
    const waitedMs = performance.now() - this.#since;
    if (waitedMs > this.#patienceMs) throw failure;
    if (!this.#told && waitedMs > TELL_AFTER_MS) {
      this.#told = true;
      this.#tell?.(`slot ${this.#slot}`, `Slot ${this.#slot} of the Redis Cluster: ${failure.message}`);
    }
    await sleep(this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }

  /** Follows a slot to another node: at once, unless two of them send the call to and fro. */
  async turn(): Promise<void> {
    if (performance.now() - this.#since > TELL_AFTER_MS)
      await this.pause(
        new StoreError('busy', `The nodes of the Redis Cluster do not agree who serves slot ${this.#slot}.`),
      );
  }

  end(): void {
    if (this.#told) this.#tell?.(`slot ${this.#slot}`, null);
  }
}
