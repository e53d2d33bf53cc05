// Makes events that look like the sample: the same options give the same events. Change it as you learn more.
//   node generate.mjs                  two weeks of history, up to now, into history/
//   node generate.mjs --live           sends events to Kafka until Ctrl-C
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

// settings: from the sample
const SOURCE = 'events';
const ID = { path: 'id', type: 'string' };
const TIME = { path: 'at', unit: 'iso' };
const TYPE = { constant: 'event' };
const TYPES = ['event'];
/** Whose events they are: each of them has habits of its own. */
const KEY = 'user';
/** The number that tells most about what is predicted. */
const MEASURE = 'amount';
/** pool: one of these; like: # is a digit; share: how often true; mean and deviation: a number. */
const FIELDS = {
  user: { path: 'user', like: 'u##', size: 200 },
  amount: { path: 'amount', mean: 3.5, deviation: 0.7, decimals: 1, least: 0 },
  ok: { path: 'ok', share: 0.6666666666666666 },
};
const OUTCOME = { name: 'late', source: 'late_outcomes', reference: 'event_id' };
// settings end

const DAY = 86_400_000;

/** Small seeded generator (mulberry32, Tommy Ettinger, public domain): numbers in [0, 1). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const likely = (odds) => 1 / (1 + Math.exp(-odds));

/** The n-th of the texts that look like the template. */
function textLike({ like }, n) {
  const digits = like.split('#').length - 1;
  let rest = String(n % 10 ** digits).padStart(digits, '0');
  return like.replace(/#/g, () => {
    const [first] = rest;
    rest = rest.slice(1);
    return first;
  });
}

function valueAt(recipe, at, random, habit, entity) {
  if (recipe.pool) return recipe.pool[Math.floor(recipe.pool.length * random() ** 2)];
  if (recipe.like) return textLike(recipe, entity ?? Math.floor(recipe.size * random() ** 2));
  if (recipe.time) return recipe.time === 'iso' ? new Date(at).toISOString() : at;
  if (recipe.share !== undefined) return random() < recipe.share;
  const value = entity ?? recipe.mean + recipe.deviation * (0.7 * habit + normal(random));
  const kept = recipe.least === null ? value : Math.max(recipe.least, value);
  return Number(kept.toFixed(recipe.decimals));
}

function put(record, path, value) {
  const steps = path.split('.');
  const last = steps.pop();
  let place = record;
  for (const step of steps) place = place[step] ??= {};
  place[last] = value;
}

const written = (at) =>
  TIME.unit === 'iso' ? new Date(at).toISOString() : TIME.unit === 's' ? at / 1000 : at;

/** One event, and what becomes known of it later. */
function makeOne(n, at, world) {
  const { random, habits } = world;
  const entity = Math.floor(habits.length * random() ** 2);
  const habit = habits[entity];
  const id = ID.type === 'int' ? 1_000_000 * world.number + n : `${world.name}-${String(n).padStart(7, '0')}`;
  const record = {};
  put(record, ID.path, id);
  if (TYPE.path) put(record, TYPE.path, TYPES[Math.floor(TYPES.length * random() ** 3)]);
  put(record, TIME.path, written(at));
  let unusual = 0;
  for (const [name, recipe] of Object.entries(FIELDS)) {
    const value = valueAt(recipe, at, random, habit, name === KEY ? entity + 1 : undefined);
    if (name === MEASURE) unusual = (value - recipe.mean) / recipe.deviation;
    put(record, recipe.path, value);
  }
  if (OUTCOME === null) return { at, record, outcome: null };
  const known = at + Math.floor((1 + 59 * random()) * 60_000);
  const outcome = {
    id: `${id}:known`,
    time: new Date(known).toISOString(),
    [OUTCOME.reference]: id,
    [OUTCOME.name]: random() < likely(-1.2 + 1.2 * habit + 0.9 * unusual),
  };
  return { at, record, outcome, known };
}

const createWorld = (seed, name, number = seed % 1_000) => {
  const random = seeded(seed);
  return { name, number, random, habits: Array.from({ length: 200 }, () => normal(random)) };
};

/** Events of some days, in order of time, and what became known by the end. More by day than by night. */
export function generate({ seed = 1, days = 14, perDay = 2_000, until = Date.now() } = {}) {
  const world = createWorld(seed, `${SOURCE}-${seed}`);
  const from = until - days * DAY;
  const times = Array.from({ length: Math.round(days * perDay) }, () => {
    for (;;) {
      const at = Math.floor(from + days * DAY * world.random());
      if (world.random() < 0.55 - 0.45 * Math.cos((2 * Math.PI * (at % DAY)) / DAY)) return at;
    }
  }).sort((a, b) => a - b);
  const made = times.map((at, n) => makeOne(n, at, world));
  const outcomes = made.filter(({ outcome, known }) => outcome !== null && known < until);
  return {
    events: made.map(({ record }) => record),
    outcomes: outcomes.sort((a, b) => a.known - b.known).map(({ outcome }) => outcome),
  };
}

/** Sends events to the project's Kafka until Ctrl-C; what becomes known follows after a while. */
async function live(rate) {
  const { createProducer, eventsOf, openProject } = await import('millrace/client');
  const project = openProject(import.meta.dirname);
  const producer = await createProducer(project);
  const send = (source, record) => producer.send(source, eventsOf(project, source, [record]));
  const world = createWorld(
    Date.now() >>> 0,
    `live-${Date.now().toString(36)}`,
    Math.floor(Date.now() / 1_000),
  );
  const waiting = [];
  let ended = false;
  process.once('SIGINT', () => (ended = true));
  for (let n = 0; !ended; n += 1) {
    const { record, outcome } = makeOne(n, Date.now(), world);
    await send(SOURCE, record);
    // Nobody wants to wait an hour for a first outcome.
    if (outcome !== null) waiting.push({ at: Date.now() + 20_000, outcome });
    while (waiting[0]?.at <= Date.now()) {
      const { outcome: known } = waiting.shift();
      await send(OUTCOME.source, { ...known, time: new Date().toISOString() });
    }
    if (n % 50 === 0) console.error(`${n + 1} sent`);
    await sleep(1000 / rate);
  }
  await producer.close();
}

function write(name, records) {
  mkdirSync('history', { recursive: true });
  const file = `history/${name}.jsonl`;
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  console.log(`${records.length} records in ${file}`);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      days: { type: 'string', default: '14' },
      'per-day': { type: 'string', default: '2000' },
      live: { type: 'boolean', default: false },
      rate: { type: 'string', default: '5' },
    },
  });
  if (values.live) await live(Number(values.rate));
  else {
    const { events, outcomes } = generate({
      seed: Number(values.seed),
      days: Number(values.days),
      perDay: Number(values['per-day']),
    });
    write(SOURCE, events);
    if (OUTCOME !== null) write(OUTCOME.source, outcomes);
  }
}
