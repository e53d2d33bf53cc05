import type { Kafka } from '../infrastructure/kafka/port.ts';
import type { Clock } from '../schemas/clock.ts';
import type { Measure } from '../schemas/monitoring.ts';
import { groups, topics } from '../schemas/names.ts';
import { restartOnFailure, type Stream } from '../streams/runtime/stream.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';
import { writeMeasures } from './measures.ts';
import { eventTimeFinished, nextTick, writeTick } from './progress.ts';
import { createTickMemory, measureTick, type TickDeps } from './tick.ts';

export { eventTimeFinished, nextTick } from './progress.ts';
export { measureTick } from './tick.ts';

/** An alert that began to fire at a tick: pipelines may start by it. */
export interface Fired {
  readonly rule: string;
  /** Of the change. */
  readonly id: string;
  readonly model: string;
}

/**
 * Takes the measures of a tick once they stand in their table, in the order of ticks, and answers with the alerts that
 * began to fire. After a crash it is called again with the same tick.
 */
export type OnTick = (tick: number, measures: readonly Measure[]) => Promise<readonly Fired[]>;

export interface MonitoringDeps extends TickDeps {
  readonly kafka: Kafka;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly onTick?: OnTick;
}

/** Between two looks at how far event time has come, ms; the longer while it stands still. */
const LOOK_EVERY_MS = 50;
const SELDOM_MS = 1_000;
/** Looks at which event time stood still. */
const STILL_LOOKS = 20;
/** A poll does not hear the signal to stop. */
const LONGEST_POLL_MS = 200;

/**
 * Measures each tick of event time once everything before it is archived. One process of all that run it works: the
 * one that holds the partition of the alerts topic in this stream's group. Two that do so for a moment say the same.
 */
export function createMonitoring(deps: MonitoringDeps): Stream {
  const { project, kafka, warehouse, clock, telemetry } = deps;
  const { prefix } = project;

  async function runLoop(signal: AbortSignal, healthy: () => void): Promise<void> {
    let leads = false;
    const consumer = await kafka.consumer({
      group: groups.monitoring(prefix),
      topics: [topics.alerts(prefix)],
      onAssigned: async (assigned) => {
        leads = assigned.length > 0;
        return assigned.map(() => 'latest' as const);
      },
      maxPollRecords: 1,
    });
    const memory = createTickMemory();
    let tick: number | null = null;
    let begun = false;
    let finished: number | null = null;
    let still = 0;
    try {
      while (!signal.aborted) {
        // A member that does not poll is taken for dead; what the topic holds is for others.
        const pause = still < STILL_LOOKS ? LOOK_EVERY_MS : SELDOM_MS;
        for (let waited = 0; waited < pause && !signal.aborted; waited += LONGEST_POLL_MS)
          await consumer.poll(Math.min(pause, LONGEST_POLL_MS));
        if (!leads) {
          healthy();
          begun = false;
          still = STILL_LOOKS;
          continue;
        }
        if (!begun) tick = null;
        begun = true;
        tick ??= await nextTick({ project, warehouse });
        const now = tick === null ? null : await eventTimeFinished({ project, warehouse, now: clock.now() });
        still = now === finished ? still + 1 : 0;
        finished = now;
        if (tick === null || finished === null || finished < tick) {
          healthy();
          continue;
        }
        // A long gap is jumped, and whether there is one shows only now.
        tick = await nextTick({ project, warehouse });
        if (tick !== null && finished >= tick) await takeTick(tick, memory);
        // A tick that fails each time has not gone through before its end.
        healthy();
        tick = null;
        still = 0;
      }
    } finally {
      await consumer.close().catch(() => {});
    }
  }

  /** The row of the tick comes last: until it stands, everything before it is done again, and is the same. */
  async function takeTick(tick: number, memory: ReturnType<typeof createTickMemory>): Promise<void> {
    const started = performance.now();
    const skipped: Array<{ what: string; reason: string }> = [];
    const onSkipped = (what: string, reason: string) => void skipped.push({ what, reason });
    const measures = await measureTick({ ...deps, onSkipped }, tick, memory);
    await writeMeasures(warehouse, prefix, `tick ${tick}`, measures, clock.now());
    const fired = (await deps.onTick?.(tick, measures)) ?? [];
    const detail = { measures: measures.length, fired, ...(skipped.length === 0 ? {} : { skipped }) };
    // Where there are pipelines, the stream that runs them says when the tick is finished.
    const state = project.pipelines.length === 0 ? 'finished' : 'measured';
    await writeTick(warehouse, prefix, tick, state, detail, clock.now());
    telemetry.step('monitoring', 'tick', performance.now() - started, measures.length);
    telemetry.note('monitoring', 'tick', { tick: new Date(tick).toISOString(), measures: measures.length });
  }

  return {
    name: 'monitoring',
    run: (signal, healthy) =>
      restartOnFailure('monitoring', clock, telemetry, signal, (done) => runLoop(signal, done), healthy),
  };
}
