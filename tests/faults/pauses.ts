import type { Scenario, Scheduled } from './harness/play.ts';
import { STREAMS } from './harness/streams.ts';
import { pause } from './harness/strikes.ts';
import type { Silence } from './harness/traffic.ts';
import { fallsIdleAt } from './scenarios.ts';

const PAUSES_MS = [1_000, 5_000, 10_000, 30_000];
const RATES = [150, 2_000];
const OUT_OF_ORDERNESS_MS = [1_000, 5_000];
/** What a pause left behind is worked off before the next, ms. */
const APART_MS = 6_000;

/** Pauses of each length of each process, at each rate and disorder: a scenario for each of the latter. */
export function pauseScenarios(): readonly Scenario[] {
  return RATES.flatMap((perSecond) =>
    OUT_OF_ORDERNESS_MS.map(
      (outOfOrdernessMs): Scenario => ({
        name: `pauses at ${perSecond}/s, ${outOfOrdernessMs / 1_000} s out of order`,
        perSecond,
        outOfOrdernessMs,
        maxWait: '20ms',
        proxied: false,
        cards: Math.max(60, perSecond),
        merchants: Math.max(20, perSecond / 10),
        tolerates: [],
        schedule: (random, silences) => schedule(random, silences, outOfOrdernessMs),
      }),
    ),
  );
}

/** Every second one begins just before a partition may fall idle, the others just after. */
function schedule(random: () => number, silences: readonly Silence[], outOfOrdernessMs: number): Scheduled[] {
  const scheduled: Scheduled[] = [];
  let after = 4_000;
  let before = true;
  for (const forMs of PAUSES_MS)
    for (const stream of STREAMS) {
      const idleAt = fallsIdleAt(silences, after + 500, outOfOrdernessMs);
      const shift = 20 + random() * 300;
      const atMs = Math.round(before ? idleAt - shift : idleAt + shift);
      before = !before;
      scheduled.push({ atMs, fault: pause(stream, forMs) });
      after = atMs + forMs + APART_MS;
    }
  return scheduled;
}
