import { randomUUID } from 'node:crypto';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { ViewMeta } from '../../processors/meta.ts';
import { partitionOf } from '../../processors/partition.ts';
import { ViewState } from '../../processors/state.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { floorTo, HOUR } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { leastReadTime, raiseToFeeding, readImports, readMarks, sourceStates } from './backfill-archive.ts';
import {
  type BuiltPartition,
  exactHead,
  refuseLiveState,
  writeHistorySections,
  writePartition,
} from './backfill-write.ts';
import { type Marks, readPast, startFor } from './past.ts';

export { StateInTheWay } from './backfill-write.ts';

export interface BackfillStateOptions {
  readonly project: Project;
  readonly warehouse: Warehouse;
  readonly store: OnlineStore;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
  /** Views to build; all where absent. */
  readonly views?: readonly View[];
  /** E: event time up to which the archive is folded, epoch ms. */
  readonly to: number;
  /** Also where the online store holds a state that Kafka made; without it that is refused. */
  readonly replace?: boolean;
  /**
   * Nothing happened before the first imported event: windows that reach back of it are whole. Without it
   * they are refused as `behind`, since what they lack is not known.
   */
  readonly whole?: boolean;
  readonly progress?: (done: BackfillStateProgress) => void;
  readonly signal?: AbortSignal;
}

export type BackfillStateProgress =
  /** `time`: how far the pass has come, event time, epoch ms. */
  | { readonly step: 'fold'; readonly events: number; readonly from: number; readonly time: number }
  | { readonly step: 'write'; readonly view: string; readonly keys: number; readonly bytes: number };

export interface BackfillStateReport {
  readonly events: number;
  readonly from: number;
  readonly to: number;
  readonly views: ReadonlyArray<{
    readonly view: string;
    readonly entities: number;
    readonly keys: number;
    readonly bytes: number;
  }>;
}

/** How often, event time, the states are told that older reads will not come. */
const PRUNE_EVERY = 6 * HOUR;

/**
 * Writes the state of views as if features had applied their logs up to the marks it names, and imported
 * history, which has none: the same contributions through the same folding and compaction. First every view
 * partition's log gets a `history` section, so that a rebuild knows that Kafka alone is not all; then the
 * logs; the meta last, which until then says `building`, so that nobody reads half a state.
 * Throws StateInTheWay, WarehouseError, StoreError, KafkaError.
 */
export async function backfillState(options: BackfillStateOptions): Promise<BackfillStateReport> {
  const { project, warehouse, kafka, to } = options;
  const views = options.views ?? project.views;
  if (options.replace !== true) await refuseLiveState(options, views);
  const marks = await raiseToFeeding(options, views, await readMarks(options, views));
  const imports = await readImports(options, views);
  const readsFrom = await leastReadTime(options, marks);
  const from = startFor(views, to - views.reduce((most, { slack }) => Math.max(most, slack), 0));

  const building = views.map((view) =>
    Array.from({ length: view.partitions }, (_, partition): BuiltPartition => {
      const key = keys.viewPartition(project.prefix, view.id, partition);
      return { view, partition, key, state: new ViewState(view) };
    }),
  );
  let events = 0;
  let pruned = Number.NEGATIVE_INFINITY;
  const prune = (time: number): void => {
    pruned = time;
    // Reads of this state begin a slack before E, or before what is read first: older fine tiles are on their way up the ladder.
    for (const { view, state } of building.flat())
      state.prune(Math.min(exactHead(view, readsFrom, view.resolution), floorTo(time - view.slack, HOUR)));
  };
  for await (const batch of readPast({
    project,
    warehouse,
    views,
    from,
    to: archiveEnd(marks, to),
    upTo: marks,
    importsTo: to,
  })) {
    options.signal?.throwIfAborted();
    for (const { event, contributions } of batch) {
      if (event.time - pruned >= PRUNE_EVERY) prune(event.time);
      for (let v = 0; v < contributions.length; v += 1) {
        const contribution = contributions[v];
        if (contribution === null || contribution === undefined) continue;
        const partition = partitionOf(contribution.entity, views[v]?.partitions ?? 1);
        building[v]?.[partition]?.state.apply(contribution);
      }
    }
    events += batch.length;
    options.progress?.({ step: 'fold', events, from, time: batch.at(-1)?.event.time ?? from });
  }

  await writeHistorySections(options, building.flat(), { imports: imports.ids, until: to });
  const starts = await viewStarts(kafka, project, views);
  const report: Array<{ view: string; entities: number; keys: number; bytes: number }> = [];
  for (const [v, partitions] of building.entries()) {
    const view = views[v] as View;
    let entities = 0;
    let written = { keys: 0, bytes: 0 };
    const head = exactHead(view, readsFrom, view.resolution);
    for (const part of partitions) {
      const meta: ViewMeta = {
        status: 'ready',
        life: randomUUID(),
        next: starts.get(view.id)?.[part.partition] ?? 0,
        sources: sourceStates(project, view, marks),
        frontier: null,
        base: options.whole === true ? null : imports.first,
        baseOpen: false,
        oldestExactHead: head,
        history: { imports: imports.ids, until: to },
        appendedBytes: 0,
        heldBytes: 0,
        applied: 0,
        refused: 0,
      };
      const done = await writePartition(options, part, meta, head);
      entities += part.state.entities;
      written = { keys: written.keys + done.keys, bytes: written.bytes + done.bytes };
      options.progress?.({ step: 'write', view: view.id, ...written });
    }
    report.push({ view: view.id, entities, ...written });
  }
  return { events, from, to, views: report };
}

/** Out-of-order events at or below a mark may be younger than E. */
function archiveEnd(marks: ReadonlyMap<string, Marks>, to: number): number | null {
  return [...marks.values()].some((list) => list.length > 0) ? null : to;
}

async function viewStarts(
  kafka: Kafka,
  project: Project,
  views: readonly View[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const admin = await kafka.admin();
  try {
    const starts = new Map<string, readonly number[]>();
    for (const view of views) {
      const bounds = await admin.offsets(topics.view(project.prefix, view.id));
      starts.set(
        view.id,
        bounds.map(({ start }) => start),
      );
    }
    return starts;
  } finally {
    await admin.close();
  }
}
