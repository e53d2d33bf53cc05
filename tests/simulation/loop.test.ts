import { describe, expect, it } from 'vitest';
import { tickAfter } from '../../schemas/monitoring.ts';
import { topics } from '../../schemas/names.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { replay } from '../../streams/replay/replay.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { ALL, World } from './world.ts';

/**
 * What watches the replay looks at each hour of event time, and takes its time:
 *
 *   events   ----- 10:00 | 10:00 ----- 11:00 | 11:00 -----
 *   tick 10:00           ^ nothing of 10:00 or later is sent before it is finished
 */
describe('a replay with a loop', () => {
  it('sends nothing of a tick or later before that tick is finished, and ends after the last', async () => {
    const world = await World.create();
    const process = world.start(ALL);
    const items = trips({
      random: seeded(7),
      start: world.clock.now(),
      trips: 150,
      everyMs: 2 * MINUTE,
      quietMs: 3 * HOUR,
      cars: 5,
    });
    const kafka = world.broker.kafka();
    const raw = topics.raw(world.project.prefix, world.source.name);
    const codec = world.codecs.raw(world.source.name);
    let finished = tickAfter({ models: [hourly(world)] }, world.clock.now()) - HOUR;
    const ticks: number[] = [];
    let asked = 0;
    let held = 0;
    let result: Awaited<ReturnType<typeof replay>> | null = null;
    const running = replay(
      { project: world.project, kafka, store: world.store, codecs: world.codecs, clock: world.clock },
      {
        source: world.source.name,
        name: 'looped',
        items: pieces(items),
        speed: Number.POSITIVE_INFINITY,
        signal: new AbortController().signal,
        onProgress: ({ tick }) => {
          // The pipelines of this tick are done at the third look.
          if (tick === null || tick === undefined || ++asked % 3 !== 0) return;
          held = tick;
          finished = tick;
          ticks.push(tick);
        },
        loop: {
          async next() {
            const tick = finished + HOUR;
            const tails = await readTails(kafka, raw, 1e9);
            await codec.prepare(tails.flat());
            for (const record of tails.flat()) {
              const { event, clock } = codec.decode(record);
              expect(event?.time ?? Number.NEGATIVE_INFINITY).toBeLessThan(tick);
              expect(clock?.time ?? Number.NEGATIVE_INFINITY).toBeLessThanOrEqual(tick);
            }
            return tick;
          },
        },
      },
    );
    void running.then((done) => {
      result = done;
    });
    expect(await world.clock.runUntil(() => result !== null, 48 * HOUR)).toBe(true);
    const { sent, lastTime, complete } = await running;
    expect(complete).toBe(true);
    expect(sent).toBe(items.length);
    expect(held).toBeLessThanOrEqual((lastTime ?? 0) + world.source.outOfOrderness);
    expect(ticks).toEqual(ticks.map((_, i) => (ticks[0] ?? 0) + i * HOUR));
    expect(ticks.length).toBeGreaterThanOrEqual(4);
    process.kill();
  });
});

const hourly = ({ model }: World) => ({ ...model, monitoring: { ...model.monitoring, every: HOUR } });

async function* pieces<T>(items: readonly T[]): AsyncGenerator<readonly T[]> {
  for (let at = 0; at < items.length; at += 40) yield items.slice(at, at + 40);
}
