import { fileURLToPath } from 'node:url';
import { partitionOf } from '../../processors/partition.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';
import { SnapshotReader } from '../../streams/inference/snapshot.ts';
import { VectorReader } from '../../streams/inference/vector.ts';
import { pick } from './random.ts';
import type { World } from './world.ts';

/** A project with a fast source (rides) and an hourly one (weather). */
export const DIRECTORY = fileURLToPath(new URL('./hourly', import.meta.url));
export const ZONES = ['airport', 'harbour', 'lake'] as const;

/** An event, and when its producer sends it, epoch ms. */
export interface Sent {
  readonly source: string;
  readonly at: number;
  readonly key: string;
  readonly event: EventRecord;
}

/**
 * Requests, 3 s apart in the first third of each quarter of an hour, and a minute apart otherwise; each is sent up to 4 s after its
 * time: the source allows 5 s.
 */
export function rides(random: () => number, start: number, end: number): Sent[] {
  const sent: Sent[] = [];
  for (let time = start; time < end; ) {
    const car = `car-${Math.floor(random() * 40)}`;
    const event = { id: `r${sent.length}`, type: 'ride.asked', time, car, zone: pick(random, ZONES) };
    sent.push({ source: 'rides', at: time + Math.floor(random() * 4 * SECOND), key: car, event });
    const mean = (time - start) % (15 * MINUTE) < 5 * MINUTE ? 3 * SECOND : MINUTE;
    time += Math.floor(-Math.log(1 - random()) * mean);
  }
  return sent;
}

/**
 * Each zone's station observes once an hour, in a minute of its own, and sends it 1 to 18 s later: the source allows 20 s. Every
 * temperature is a new one, so that a reader can tell which observation it sees.
 */
export function observations(random: () => number, start: number, end: number): Sent[] {
  const sent: Sent[] = [];
  for (const [z, zone] of ZONES.entries()) {
    const station = zone;
    for (let hour = start + z * MINUTE; hour < end; hour += HOUR) {
      const time = hour + Math.floor(random() * 50 * SECOND);
      const temperature = 10 + sent.length / 4;
      const event = { id: `w${sent.length}`, type: 'weather.observed', time, station, zone, temperature };
      sent.push({
        source: 'weather',
        at: time + SECOND + Math.floor(random() * 17 * SECOND),
        key: station,
        event,
      });
    }
  }
  return sent;
}

/** Sends events as live producers would, each at its moment. */
export async function send(
  { broker, clock, codecs, project }: World,
  events: readonly Sent[],
): Promise<void> {
  const producer = await broker.kafka().producer();
  for (const { source, at, key, event } of [...events].sort((a, b) => a.at - b.at)) {
    const partitions = project.sources.find(({ name }) => name === source)?.partitions ?? 1;
    await clock.sleep(at - clock.now());
    const value = codecs.encodeRaw(source, event);
    const topic = topics.raw(project.prefix, source);
    await producer.send([{ topic, partition: partitionOf(key, partitions), key: Buffer.from(key), value }]);
  }
}

/** By name of a view: how long after its time an observation was first seen, ms. */
export interface Seen {
  readonly id: string;
  readonly afterMs: Readonly<Record<string, number>>;
}

/** Asks for features every 100 ms, as a request of that moment would, until each observation has been seen in both views. */
export async function watch(world: World, observed: readonly Sent[]): Promise<Seen[]> {
  const { clock, model, project, store } = world;
  const reader = new VectorReader(project, model, new SnapshotReader(store));
  const places = new Map(
    model.reads.map(({ view }) => [
      view,
      model.features.findIndex(({ name }) => name === `${view}.temperature_last_2h`),
    ]),
  );
  const seen: Seen[] = [];
  for (const { event } of [...observed].sort((a, b) => a.event.time - b.event.time)) {
    await clock.sleep(event.time - clock.now());
    const afterMs: Record<string, number> = {};
    const giveUp = event.time + 2 * MINUTE;
    while (Object.keys(afterMs).length < places.size && clock.now() < giveUp) {
      const time = clock.now();
      const request = { id: 'probe', type: 'ride.asked', time, zone: event.zone ?? null, car: 'probe' };
      const [vector] = await reader.read([
        { event: request, time, targets: reader.targets(request, time) ?? [] },
      ]);
      if (vector?.status === 'read')
        for (const [view, place] of places)
          if (vector.values[place] === event.temperature) afterMs[view] ??= time - event.time;
      await clock.sleep(100);
    }
    seen.push({ id: event.id, afterMs });
  }
  return seen;
}
