import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '../../config/load.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { Receiver } from '../infrastructure/alerting/receiver.ts';
import { seeded } from '../simulation/random.ts';
import { BAD_THINGS, type BadThing } from './fifty/things.ts';
import { World } from './fifty/world.ts';

/*
 * Fifty bad things thrown at one running project, in the order of a seed (`SEED=` repeats one), with good traffic beside them:
 * every good request is answered once, from its full head, and each bad thing is told once, where it belongs.
 */

const SEED = Number(process.env.SEED ?? 7);
/** Between two good payments, and between two bad things, ms. */
const GOOD_EVERY_MS = 40;
const BAD_EVERY_MS = 300;
const SETTLE_MS = 60_000;

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

interface Row {
  readonly thing: BadThing;
  /** Where, and how often. */
  readonly told: string;
  readonly holds: boolean;
}

interface Archived {
  readonly events: number;
  readonly ids: number;
  readonly answers: number;
}

let hook: Receiver;
let world: World;
let rows: readonly Row[] = [];
let predictions: readonly Prediction[] = [];
let archived: Archived | null = null;
let ended: unknown = null;

beforeAll(async () => {
  hook = await new Receiver().start();
  // Which alert it is decides what is answered: those named after a status are refused with it, the 503 once alone.
  const stumbled = new Set<string>();
  hook.judge = (body) => {
    const [first] = (JSON.parse(body) as { alerts: Array<{ fingerprint: string }> }).alerts;
    const status = Number(first?.fingerprint.slice(1));
    if (status === 400) return { status };
    if (status !== 503 || stumbled.has(first?.fingerprint ?? '')) return { status: 200 };
    stumbled.add(first?.fingerprint ?? '');
    return { status };
  };
  world = await World.open(hook.url);
  await world.start();
  const found = await play();
  rows = await untilTold(found);
  predictions = await world.predictions();
  archived = await untilArchived();
  ended = await world.stop().then(
    () => null,
    (error: unknown) => error,
  );
  print();
});

afterAll(async () => {
  await world?.close();
  await hook?.stop();
});

/** Everything at once: good traffic throughout, bad things one after another. Answers what the loader said of configurations. */
async function play(): Promise<ReadonlyMap<BadThing, readonly Problem[]>> {
  const problems = new Map<BadThing, readonly Problem[]>();
  let playing = true;
  const good = (async () => {
    for (let n = 0; playing; n += 1) {
      await world.ask(n);
      await sleep(GOOD_EVERY_MS);
    }
  })();
  await sleep(2_000);
  for (const thing of shuffled(BAD_THINGS)) {
    const answer = await thing.throw(world);
    if (thing.kind === 'configuration') problems.set(thing, answer as readonly Problem[]);
    await sleep(BAD_EVERY_MS);
  }
  await sleep(3_000);
  playing = false;
  await good;
  return problems;
}

function shuffled(things: readonly BadThing[]): BadThing[] {
  const random = seeded(SEED);
  return things
    .map((thing) => ({ thing, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ thing }) => thing);
}

/** What was told of each thing, once all of it is, or at the end of the time. */
async function untilTold(problems: ReadonlyMap<BadThing, readonly Problem[]>): Promise<readonly Row[]> {
  for (const until = Date.now() + SETTLE_MS; ; await sleep(500)) {
    const found = await look(problems);
    const answered = (await world.predictions()).length >= world.asked.length;
    if ((answered && found.every(({ holds }) => holds)) || Date.now() > until) return found;
  }
}

async function look(problems: ReadonlyMap<BadThing, readonly Problem[]>): Promise<readonly Row[]> {
  const letters = await world.letters();
  const deliveries = await world.deliveries();
  return BAD_THINGS.map((thing): Row => {
    const { told, name } = thing;
    const row = (what: string, holds: boolean): Row => ({ thing, told: what, holds });
    if (told === 'mended by itself') return row('-', true);
    if ('letter' in told) {
      const codes = letters.get(name) ?? [];
      const wanted = told.letter === null ? [] : [told.letter];
      return row(
        codes.length === 0 ? 'taken' : `dead letter ${codes.join(', ')}`,
        `${codes}` === `${wanted}`,
      );
    }
    if ('foreign' in told) {
      const times = world.foreign.filter((kind) => kind === told.foreign).length;
      const wanted = BAD_THINGS.filter((one) => JSON.stringify(one.told) === JSON.stringify(told)).length;
      return row(`passed over, told ${times / wanted} times`, times === wanted);
    }
    if ('config' in told) {
      const lines = (problems.get(thing) ?? []).map(({ file, line }) => `${file}:${line}`);
      return row(lines.join(', '), `${lines}` === told.config);
    }
    if ('failing' in told) {
      const said = world.failing.filter(({ stream }) => stream === told.failing);
      const known = said.find(({ reason }) => told.reason.test(reason));
      return row(known === undefined ? 'nothing' : `${known.reason.slice(0, 60)}…`, known !== undefined);
    }
    const ends = deliveries.filter(({ status }) => status === told.delivery).length;
    return row(`${ends} ${told.delivery}`, ends === 1);
  });
}

async function untilArchived(): Promise<Archived> {
  for (const until = Date.now() + 20_000; ; await sleep(500)) {
    const found = await world.archived();
    if (found.answers >= world.asked.length || Date.now() > until) return found;
  }
}

function print(): void {
  const lines = rows.map(
    ({ thing, told, holds }) =>
      `${holds ? '  ' : '✗ '}${thing.kind.padEnd(14)}${thing.name.padEnd(48)}${told.slice(0, 70)}`,
  );
  process.stdout.write(
    `seed ${SEED}: ${BAD_THINGS.length} bad things, ${world.asked.length} good requests, ${predictions.length} answers\n${lines.join('\n')}\n`,
  );
}

describe(`${BAD_THINGS.length} bad things at one running project`, () => {
  it('are fifty at least', () => {
    expect(BAD_THINGS.length).toBeGreaterThanOrEqual(50);
    expect(new Set(BAD_THINGS.map(({ name }) => name)).size).toBe(BAD_THINGS.length);
  });

  it('each is told once, where it belongs', () => {
    expect(rows.filter(({ holds }) => !holds).map(({ thing, told }) => `${thing.name}: ${told}`)).toEqual([]);
  });

  it('good traffic is answered to the last request, once, from full heads', () => {
    const good = predictions.filter(({ requestId }) => requestId.startsWith('good-'));
    expect(good.map(({ requestId }) => requestId).sort()).toEqual([...world.asked].sort());
    expect(
      good
        .filter(({ status }) => status !== 'scored')
        .map(({ requestId, reason }) => `${requestId} ${reason}`),
    ).toEqual([]);
    const short = good.filter(({ reads }) => reads.some(({ head, asOf }) => asOf !== head));
    expect(short.map(({ requestId }) => requestId)).toEqual([]);
  });

  it('the archive has each good request and its answer once, whatever ClickHouse did', () => {
    expect(archived).toEqual({
      events: world.asked.length,
      ids: world.asked.length,
      answers: world.asked.length,
    });
  });

  it('no stream has stopped, and what failed has been got over', () => {
    expect(ended).toBeNull();
  });
});
