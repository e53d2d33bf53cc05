import { compactLog } from '../../processors/compact.ts';
import { Folder } from '../../processors/fold.ts';
import { LogCache } from '../../processors/log-cache.ts';
import { logInfo, wantsCompaction } from '../../processors/log-layout.ts';
import { asOf, createReader, NO_LIMITS } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import { DAY, HOUR, MINUTE } from '../../schemas/time.ts';
import type { TileSet } from '../../schemas/view.ts';
import { buildView } from '../processors/build-view.ts';
import { dice } from '../processors/harness.ts';

/**
 * Nanoseconds an operation of the feature algebra, as JSON, in the least disturbed tenth of rounds after a warm-up. One view like an
 * airport of the flights: a count, a late share, mean and deviation of the delay over five windows, the last delay.
 * Run: node tests/benchmarks/processors.bench.ts
 */
const lengths = [HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY];
const arrivals = buildView({
  inputs: [{ name: 'late' }, { name: 'delay' }],
  windows: [
    ...lengths.flatMap((length) =>
      (['share', 'mean', 'stddev', 'count'] as const).map((aggregation) => ({
        aggregation,
        input: aggregation === 'share' ? 0 : 1,
        length,
      })),
    ),
    { aggregation: 'last', input: 1, length: DAY },
    { aggregation: 'seconds_since_last', input: 1, length: DAY },
  ],
});
const departures = buildView({
  inputs: [{ name: 'late' }],
  windows: lengths.map((length) => ({ aggregation: 'count', input: 0, length })),
});
const decayed = buildView({
  inputs: [{ name: 'delay' }],
  windows: lengths.map((length) => ({ aggregation: 'decayed_mean', input: 0, length, halfLife: length / 4 })),
});
const sketched = buildView({
  inputs: [{ name: 'delay' }, { name: 'who', kind: 'hash' }],
  windows: [HOUR, DAY].flatMap((length) => [
    { aggregation: 'distinct' as const, input: 1, length },
    { aggregation: 'quantile' as const, input: 0, length, quantile: 0.9 },
  ]),
});
const periodic = buildView({
  inputs: [{ name: 'late' }, { name: 'delay' }],
  periodic: [
    { aggregation: 'count', input: 0, times: 7, from: -10 * MINUTE, to: 10 * MINUTE },
    { aggregation: 'share', input: 0, times: 7, from: -10 * MINUTE, to: 10 * MINUTE },
    { aggregation: 'mean', input: 1, times: 7, from: -10 * MINUTE, to: 10 * MINUTE },
    { aggregation: 'count', input: 0, times: 7, from: -30 * MINUTE, to: -10 * MINUTE },
    { aggregation: 'count', input: 0, times: 7, from: 10 * MINUTE, to: 30 * MINUTE },
  ],
});

const now = Date.UTC(2001, 3, 8, 12);
const next = dice(7);

/** Contributions of a week, in order of time, `perDay` a day. */
function week(perDay: number, entities: number, inputs: number): Contribution[] {
  const made: Contribution[] = [];
  const step = DAY / perDay;
  for (let time = now - 8 * DAY; time < now; time += step) {
    const at = Math.floor(time / MINUTE) * MINUTE;
    const delay = Math.floor(next() * next() * 200) - 20;
    const values =
      inputs === 1 ? [1] : inputs === 3 ? [delay, Math.floor(next() * 2 ** 53)] : [delay > 15 ? 1 : 0, delay];
    made.push({
      offset: made.length,
      time: at,
      at: null,
      entity: `E${Math.floor(next() * entities)}`,
      values,
    });
  }
  return made;
}

/** The tenth part of rounds that were least disturbed, on average; ns an operation. */
function quietest(rounds: number, operations: number, run: () => void): number {
  for (let k = 0; k < rounds; k += 1) run();
  const times: number[] = [];
  for (let k = 0; k < rounds * 3; k += 1) {
    const began = performance.now();
    run();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return Math.round(((times[Math.floor(times.length / 10)] as number) * 1e6) / operations);
}

/** Part of the names to measure; all without. */
const only = process.argv[2] ?? '';
const results: Record<string, number> = {};
const out = new Float64Array(64);

const events = week(20_000, 400, 2).slice(-20_000);
{
  const folder = new Folder(arrivals);
  let adding = 0;
  let draining = 0;
  let entities = 0;
  const rounds = 60;
  for (let round = 0; round < rounds + 20; round += 1) {
    const from = (round * 500) % (events.length - 500);
    const began = performance.now();
    for (let k = from; k < from + 500; k += 1) folder.add(events[k] as Contribution);
    const added = performance.now();
    const count = folder.entities;
    folder.drain();
    if (round >= 20) {
      adding += added - began;
      draining += performance.now() - added;
      entities += count;
    }
  }
  results.fold_add = Math.round((adding * 1e6) / (rounds * 500));
  results.fold_drain_per_entity = Math.round((draining * 1e6) / entities);
}

/** Logs of one busy entity as the online store would hold them. */
function logsOf(view: typeof arrivals, contributions: readonly Contribution[]): Array<Uint8Array | null> {
  const logs: Array<Uint8Array | null> = view.sets.map(() => null);
  const folder = new Folder(view);
  for (const contribution of contributions) {
    folder.add({ ...contribution, entity: 'E' });
    for (const { set, bytes } of folder.drain()) {
      const known = logs[set] ?? new Uint8Array(0);
      const log = new Uint8Array(known.length + bytes.length);
      log.set(known);
      log.set(bytes, known.length);
      const tileSet = view.sets[set];
      logs[set] =
        tileSet !== undefined && wantsCompaction(log.length, logInfo(log).compactedBytes)
          ? compactLog(view, tileSet, log, Math.floor((contribution.time - 15 * MINUTE) / MINUTE) * MINUTE)
          : log;
    }
  }
  return logs;
}

for (const [name, view, perDay, inputs] of [
  ['arrivals_busy', arrivals, 900, 2],
  ['arrivals_quiet', arrivals, 20, 2],
  ['departures_busy', departures, 900, 1],
  ['decayed_busy', decayed, 900, 1],
  ['sketched_busy', sketched, 900, 3],
  ['periodic', periodic, 48, 2],
] as const) {
  if (!name.includes(only)) continue;
  const logs = logsOf(view, week(perDay, 1, inputs));
  const reader = createReader(view);
  results[`${name}_log_bytes`] = logs.reduce((sum, log) => sum + (log?.length ?? 0), 0);
  let minute = 0;
  results[`${name}_read`] = quietest(31, 200, () => {
    for (let k = 0; k < 200; k += 1) {
      minute = (minute + 1) % 7;
      const time = now + minute * MINUTE;
      reader.read(logs, { time, zone: 'America/New_York' }, asOf(view, time, time), NO_LIMITS, out, 0);
    }
  });
  const held = new LogCache();
  const see = () =>
    logs.map((log, k) => (log === null ? null : held.see(`E${k}`, view.sets[k] as TileSet, log)));
  see();
  results[`${name}_held_read`] = quietest(31, 200, () => {
    for (let k = 0; k < 200; k += 1) {
      minute = (minute + 1) % 7;
      const time = now + minute * MINUTE;
      reader.read(see(), { time, zone: 'America/New_York' }, asOf(view, time, time), NO_LIMITS, out, 0);
    }
  });
  const compacted = logs.map((log, k) => {
    const set = view.sets[k];
    return log === null || set === undefined ? null : compactLog(view, set, log, now - 15 * MINUTE);
  });
  results[`${name}_compacted_bytes`] = compacted.reduce((sum, log) => sum + (log?.length ?? 0), 0);
  results[`${name}_compacted_read`] = quietest(31, 200, () => {
    for (let k = 0; k < 200; k += 1) {
      minute = (minute + 1) % 7;
      const time = now + minute * MINUTE;
      reader.read(compacted, { time, zone: 'America/New_York' }, asOf(view, time, time), NO_LIMITS, out, 0);
    }
  });
  results[`${name}_compact`] = quietest(15, 50, () => {
    for (let k = 0; k < 50; k += 1)
      for (const [index, log] of logs.entries()) {
        const set = view.sets[index];
        if (log !== null && set !== undefined) compactLog(view, set, log, now - 15 * MINUTE);
      }
  });
}

if ('state'.includes(only)) {
  const many = week(40_000, 300, 2);
  const state = new ViewState(arrivals);
  const began = process.threadCpuUsage();
  for (const [k, contribution] of many.entries()) {
    state.apply(contribution);
    if (k % 1000 === 0) state.prune(contribution.time - 15 * MINUTE);
  }
  const { user, system } = process.threadCpuUsage(began);
  results.state_apply_cpu = Math.round(((user + system) * 1e3) / many.length);
  results.state_bytes_per_entity = Math.round(state.bytes / state.entities);
  results.state_read = quietest(21, 300, () => {
    for (let k = 0; k < 300; k += 1)
      state.read(`E${k}`, { time: now, zone: null }, asOf(arrivals, now, now), out, 0);
  });
}

console.log(JSON.stringify(results, null, 2));
