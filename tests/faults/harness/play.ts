import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../../simulation/random.ts';
import type { Bench } from './bench.ts';
import { openStage, type Stage, type StageOptions } from './stage.ts';
import type { Fault } from './strikes.ts';
import { LiveProducer, type Silence, Traffic } from './traffic.ts';
import { differences } from './undisturbed.ts';
import { type Facts, type Judge, judgeOf, type Outcome, readOutcome } from './verdict.ts';

/** A fault and when it strikes, ms after the traffic began. */
export interface Scheduled {
  readonly atMs: number;
  readonly fault: Fault;
}

export interface Scenario {
  readonly name: string;
  readonly perSecond: number;
  readonly outOfOrdernessMs: number;
  readonly maxWait: string;
  readonly proxied: boolean;
  readonly cards: number;
  readonly merchants: number;
  /** The same faults at the same moments for the same chance and silences. */
  schedule(random: () => number, silences: readonly Silence[]): readonly Scheduled[];
  /** Reasons that requests may be refused for: a store that forgot must be built again first. */
  readonly tolerates: readonly string[];
}

/** How a fault went: when it began and ended (epoch ms), and what it met. */
export interface Struck {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly met: string | null;
}

export interface Played {
  readonly scenario: string;
  readonly seed: number;
  readonly schedule: readonly string[];
  readonly struck: readonly Struck[];
  readonly facts: Facts;
  readonly outcome: Outcome;
  /** What was counted of a part of the time. */
  readonly judge: Judge;
  /** What may not be, a sentence each; empty where all holds. */
  readonly problems: readonly string[];
  readonly seconds: number;
}

/** A gate that no request passes before its full head is there. */
export const UNLIMITED = '1h';
const PLANNED_MS = 900_000;
const AFTERWARDS_MS = 3_000;
const CATCH_UP_MS = 120_000;
const TICK_MS = 200;

/** Plays live traffic with the faults of a scenario, waits until all is worked, and looks at what came of it. */
export async function play(
  bench: Bench,
  scenario: Scenario,
  seed: number,
  say: (line: string) => void = () => {},
): Promise<Played> {
  const began = Date.now();
  const { perSecond, outOfOrdernessMs, cards, merchants } = scenario;
  const options: StageOptions = { seed, ...scenario };
  const stage = await openStage(bench, options);
  const producer = await producerOf(stage);
  try {
    const traffic = new Traffic({
      seed,
      perSecond,
      outOfOrdernessMs,
      forMs: PLANNED_MS,
      cards,
      merchants,
    });
    const scheduled = [...scenario.schedule(seeded(seed), traffic.silences)].sort((a, b) => a.atMs - b.atMs);
    // Until every partition was heard once no view has a frontier, and no request an exact head.
    await producer.send(traffic.ticks(Date.now()));
    await stage.caughtUp(CATCH_UP_MS);
    const start = Date.now();
    const sending = producer.run(traffic, start);
    const { struck, problems: failed } = await strikeAll(stage, scheduled, start, say);
    await sleep(AFTERWARDS_MS);
    producer.stop();
    await sending;
    const last = Date.now();
    say(`sent ${producer.sent}, dropped ${producer.dropped}; faults over after ${seconds(last - start)} s`);
    await stage.caughtUp(CATCH_UP_MS);
    await probe(stage, producer, traffic, last);
    const audited = await stage.audited(CATCH_UP_MS);
    const outcome = await readOutcome(stage);
    const judge = judgeOf(stage, outcome);
    const facts = judge();
    const undisturbed = scenario.maxWait === UNLIMITED ? await differences(outcome, options) : [];
    const problems = [
      ...failed,
      ...stage.streams.ended,
      ...problemsOf(facts, scenario.tolerates),
      ...staleProbes(outcome, last),
      ...undisturbed,
      ...audited.findings.map((finding) => `audit: ${finding}`),
    ];
    const schedule = scheduled.map(({ atMs, fault }) => `+${seconds(atMs)} s ${fault.name}`);
    return {
      scenario: scenario.name,
      seed,
      schedule,
      struck,
      facts,
      outcome,
      judge,
      problems,
      seconds: (Date.now() - began) / 1_000,
    };
  } finally {
    producer.stop();
    await producer.close();
    await stage.close();
  }
}

const seconds = (ms: number) => (ms / 1_000).toFixed(1);

async function producerOf(stage: Stage): Promise<LiveProducer> {
  const { platform, source, rawTopic, options } = stage;
  const codecs = await platform.codecs();
  return new LiveProducer({
    kafka: platform.kafka,
    topic: rawTopic,
    encode: (event) => codecs.encodeRaw(source.name, event),
    dropAfterMs: options.outOfOrdernessMs / 2,
  });
}

/** Each fault at its moment, or once the one before it of the same subject is over. */
async function strikeAll(
  stage: Stage,
  scheduled: readonly Scheduled[],
  start: number,
  say: (line: string) => void,
): Promise<{ struck: Struck[]; problems: string[] }> {
  const struck: Struck[] = [];
  const problems: string[] = [];
  const busy = new Map<string, Promise<void>>();
  for (const { atMs, fault } of scheduled) {
    await sleep(Math.max(0, start + atMs - Date.now()));
    const before = busy.get(fault.subject) ?? Promise.resolve();
    const one = before.then(async () => {
      const from = Date.now();
      try {
        const met = await fault.strike(stage);
        struck.push({ name: fault.name, from, to: Date.now(), met });
        say(
          `+${seconds(from - start)} to +${seconds(Date.now() - start)} s ${fault.name} ${met ?? '(left out)'}`,
        );
      } catch (error) {
        problems.push(`${fault.name} could not strike: ${error instanceof Error ? error.message : error}`);
      }
    });
    busy.set(fault.subject, one);
  }
  await Promise.all(busy.values());
  return { struck, problems };
}

/** Moves time past all that was sent, then asks for every card once: whatever was lost is missing in these answers. */
async function probe(stage: Stage, producer: LiveProducer, traffic: Traffic, last: number): Promise<void> {
  const until = last + stage.options.outOfOrdernessMs + AFTERWARDS_MS;
  while (Date.now() < until) {
    await producer.send(traffic.ticks(Date.now()));
    await sleep(TICK_MS);
  }
  await producer.send(traffic.probes(Date.now()));
  await producer.send(traffic.ticks(Date.now()));
  await stage.caughtUp(CATCH_UP_MS);
}

function problemsOf(facts: Facts, tolerated: readonly string[]): string[] {
  const problems: string[] = [];
  if (facts.lost > 0) problems.push(`${facts.lost} contributions of events in time were lost`);
  if (facts.unanswered > 0) problems.push(`${facts.unanswered} requests have no answer`);
  for (const [reason, count] of Object.entries(facts.refused))
    if (!tolerated.includes(reason)) problems.push(`${count} requests were refused as ${reason}`);
  if (facts.offOracle.length > 0)
    problems.push(
      `${facts.offOracle.length} of ${facts.compared} vectors are off the oracle: ${facts.offOracle.slice(0, 3).join('; ')}`,
    );
  return problems;
}

/** Probes whose answers do not see all that was sent would prove nothing. */
function staleProbes({ predictions }: Outcome, last: number): string[] {
  const probes = predictions.filter(({ requestId }) => requestId.startsWith('probe-'));
  const stale = probes.filter(
    ({ reads, vector }) => vector.length === 0 || reads.some(({ asOf }) => (asOf ?? 0) < last),
  );
  if (probes.length === 0) return ['no probe was answered'];
  return stale.length === 0
    ? []
    : [`${stale.length} of ${probes.length} probes do not see all that was sent`];
}

/** For a person: what failed, and the command that repeats it. */
export function report({ scenario, seed, schedule, struck, problems }: Played): string {
  return [
    `${scenario} failed with seed ${seed}:`,
    ...problems.map((problem) => `  ${problem}`),
    'The schedule was:',
    ...schedule.map((line) => `  ${line}`),
    'It met:',
    ...struck.map(({ name, met, from, to }) => `  ${name} (${seconds(to - from)} s) ${met ?? 'left out'}`),
    `Repeat it with: make test-faults SEED=${seed} ONLY='${scenario}'`,
  ].join('\n');
}
