import { fileURLToPath } from 'node:url';
import { loadProject } from '../../config/load.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { createMemoryBroker, type MemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { createMemoryStore, type MemoryStore } from '../../infrastructure/memory/store.ts';
import type { EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import type { Section } from '../../schemas/records/block.ts';
import type { View } from '../../schemas/view.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { type Codecs, openCodecs } from '../../streams/runtime/codecs.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { type SteppingClock, steppingClock } from './clock.ts';

/** The world that steps of the streams are tested in: the project of the simulation (trips of cars) on the in-memory twins. */
export interface Plane {
  readonly project: Project;
  readonly source: Source;
  readonly model: Model;
  readonly clock: SteppingClock;
  readonly broker: MemoryBroker;
  readonly kafka: Kafka;
  readonly store: MemoryStore;
  readonly codecs: Codecs;
  readonly raw: string;
  view(name: string): View;
  /** Appends events to a raw partition, stamped by the clock. */
  append(partition: number, ...events: EventRecord[]): Promise<void>;
  /** All that a view partition has been told, in order. */
  sections(view: View, partition: number): Promise<Section[]>;
}

export async function createPlane(options: { readonly partitions?: number } = {}): Promise<Plane> {
  const { partitions = 2 } = options;
  const directory = fileURLToPath(new URL('../simulation/project', import.meta.url));
  const project = loadProject(directory, { environment: {}, partitions });
  const [source] = project.sources;
  const [model] = project.models;
  if (source === undefined || model === undefined) throw new Error('the project has a source and a model');
  const clock = steppingClock();
  const broker = createMemoryBroker(clock);
  const kafka = broker.kafka();
  await (await kafka.admin()).createTopics(topicSpecs(project));
  const codecs = await openCodecs(project, createMemoryRegistry());
  const raw = topics.raw(project.prefix, source.name);
  return {
    project,
    source,
    model,
    clock,
    broker,
    kafka,
    store: createMemoryStore({ now: () => clock.now() }),
    codecs,
    raw,
    view(name) {
      const view = project.views.find((one) => one.name === name);
      if (view === undefined) throw new Error(`the project has no view ${name}`);
      return view;
    },
    async append(partition, ...events) {
      const producer = await kafka.producer();
      await producer.send(
        events.map((event) => ({
          topic: raw,
          partition,
          key: Buffer.from(String(event.car)),
          value: codecs.encodeRaw(source.name, event),
        })),
      );
      await producer.close();
    },
    async sections(view, partition) {
      const tails = await readTails(kafka, topics.view(project.prefix, view.id), 1e9);
      return (tails[partition] ?? []).flatMap(({ value }) =>
        value === null ? [] : codecs.blocks.decode(value).sections,
      );
    },
  };
}

/** A trip's start: a request for a prediction, and a contribution to the view `zone`. */
export function tripStart(id: string, time: number, zone = 'north'): EventRecord {
  return { id, type: 'trip.started', time, car: 'car-1', zone, to: 'station', price: null, started_at: null };
}
