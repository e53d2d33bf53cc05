import { groups, keys, topics } from '../../../schemas/names.ts';
import type { Section } from '../../../schemas/records/block.ts';
import type { View } from '../../../schemas/view.ts';
import type { FeaturesContext } from '../../../streams/features/context.ts';
import { Readers } from '../../../streams/features/readers.ts';
import { type OwnedView, ownView } from '../../../streams/features/view-partition.ts';
import { Checkpoint } from '../../../streams/runtime/checkpoint.ts';
import { ALL_GUARDS, type Guards } from '../../../streams/runtime/guards.ts';
import { encodeHold } from '../../../streams/runtime/hold.ts';
import { Waits } from '../../../streams/runtime/waits.ts';
import type { Plane } from '../plane.ts';
import { listening, type Told } from '../telemetry.ts';

/** What the steps of features share, on a plane. */
export async function featuresContext(
  plane: Plane,
  guards: Partial<Guards> = {},
): Promise<FeaturesContext & { readonly telemetry: Told }> {
  const { project, kafka, store, codecs, clock } = plane;
  const telemetry = listening();
  const consumer = await kafka.consumer({
    group: groups.features(project.prefix),
    topics: project.views.map(({ id }) => topics.view(project.prefix, id)),
    maxPollRecords: 1_000,
    onAssigned: async (assigned) => assigned.map(() => 0),
  });
  return {
    project,
    kafka,
    store,
    codecs,
    clock,
    telemetry,
    guards: { ...ALL_GUARDS, ...guards },
    consumer,
    checkpoint: new Checkpoint({ kafka, store, consumer, now: () => clock.now() }),
    readers: new Readers(project, store, clock),
    waits: new Waits('features', clock, telemetry),
    owned: new Map(),
  };
}

export function owned(plane: Plane, view: View, partition = 0): OwnedView {
  return ownView(plane.project, view, { topic: topics.view(plane.project.prefix, view.id), partition });
}

/** What the readers of a model's partitions say, as inference writes it. */
export async function setHints(plane: Plane, ...least: readonly number[]): Promise<void> {
  for (const [partition, time] of least.entries()) {
    const key = keys.hold(plane.project.prefix, plane.model.name, partition);
    const [[expected = null] = []] = await plane.store.read([[key]]);
    const ttl = { logTtlMs: 1e9, metaTtlMs: 1e9 };
    const next = encodeHold(time);
    await plane.store.commit([{ metaKey: key, expected, next, sets: [], appends: [], deletes: [], ...ttl }]);
  }
}

/** A section of partition 0 of the trips, with a contribution of one zone's start at each time. */
export function sectionOf(
  plane: Plane,
  view: View,
  times: readonly number[],
  { from = 0, zone = 'north', ...more }: Partial<Section> & { readonly zone?: string } = {},
): Section {
  const runningMax = more.runningMax ?? Math.max(0, ...times);
  return {
    topic: plane.raw,
    partition: 0,
    partitions: 2,
    from,
    to: from + times.length - 1,
    runningMax,
    watermark: runningMax,
    byClock: false,
    idle: false,
    turn: 1,
    appendTime: null,
    clockOpen: false,
    history: null,
    contributions: times.map((time, i) => ({
      offset: from + i,
      time,
      at: null,
      entity: zone,
      values: view.inputs.map(() => 1),
    })),
    ...more,
  };
}
