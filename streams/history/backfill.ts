import { randomUUID } from 'node:crypto';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { REBUILD, type ViewMeta } from '../../processors/meta.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { withPartitions } from '../runtime/partitions.ts';
import { leastReadTime, raiseToFeeding, readImports, readMarks, sourceStates } from './backfill-archive.ts';
import { type FoldProgress, foldPast } from './backfill-fold.ts';
import {
  type BuiltPartition,
  exactHead,
  refuseLiveState,
  writeHistorySections,
  writePartition,
} from './backfill-write.ts';
import { startFor } from './past.ts';

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
  /** Partitions to write; all where absent. */
  readonly partitions?: readonly number[];
  /** An owner builds again what was lost: its log says already that Kafka is not all, and a backfill that writes goes first. */
  readonly rebuild?: boolean;
  readonly progress?: (done: BackfillStateProgress) => void;
  readonly signal?: AbortSignal;
}

export type BackfillStateProgress =
  | FoldProgress
  | { readonly step: 'write'; readonly view: string; readonly keys: number; readonly bytes: number };

export interface BackfillStateReport {
  readonly events: number;
  readonly from: number;
  readonly to: number;
  readonly views: readonly WrittenView[];
}

/** What was written of one view. */
interface WrittenView {
  readonly view: string;
  readonly entities: number;
  readonly keys: number;
  readonly bytes: number;
}

/**
 * Writes the state of views as if features had applied their logs up to the marks it names, and imported
 * history, which has none: the same contributions through the same folding and compaction. First every view
 * partition's log gets a `history` section, so that a rebuild knows that Kafka alone is not all; then the
 * logs; the meta last, which until then says `building`, so that nobody reads half a state.
 * Throws StateInTheWay, WarehouseError, StoreError, KafkaError.
 */
export async function backfillState(given: BackfillStateOptions): Promise<BackfillStateReport> {
  const project = await withPartitions(given.project, given.kafka);
  const options = { ...given, project };
  const { kafka, to } = options;
  const views = options.views ?? project.views;
  if (options.replace !== true && options.rebuild !== true) await refuseLiveState(options, views);
  const marks = await raiseToFeeding(options, views, await readMarks(options, views));
  const imports = await readImports(options, views);
  const readsFrom = await leastReadTime(options, marks);
  const from = startFor(views, to - views.reduce((most, { slack }) => Math.max(most, slack), 0));
  const { built: all, events } = await foldPast({ ...options, readsFrom }, views, marks, from);
  const built = all.map(({ view, partitions }) => ({
    view,
    partitions: partitions.filter(({ partition }) => options.partitions?.includes(partition) ?? true),
  }));
  const history = { imports: imports.ids, until: to };
  if (options.rebuild !== true)
    await writeHistorySections(
      options,
      built.flatMap(({ partitions }) => partitions),
      { ...history, whole: options.whole === true },
    );
  const starts = await viewStarts(kafka, project, views);
  const base = options.whole === true ? null : imports.first;
  const report: WrittenView[] = [];
  for (const { view, partitions } of built) {
    const head = exactHead(view, readsFrom, view.resolution);
    const metas = partitions.map(
      ({ partition }): ViewMeta => ({
        status: 'ready',
        life: `${options.rebuild === true ? REBUILD : ''}${randomUUID()}`,
        next: starts.get(view.id)?.[partition] ?? 0,
        sources: sourceStates(project, view, marks),
        frontier: null,
        base,
        baseOpen: false,
        oldestExactHead: head,
        history,
        appendedBytes: 0,
        heldBytes: 0,
        applied: 0,
        refused: 0,
        evictions: null,
      }),
    );
    report.push(await writeView(options, view, partitions, metas, head));
  }
  return { events, from, to, views: report };
}

async function writeView(
  options: BackfillStateOptions,
  view: View,
  partitions: readonly BuiltPartition[],
  metas: readonly ViewMeta[],
  head: number,
): Promise<WrittenView> {
  let entities = 0;
  let written = { keys: 0, bytes: 0 };
  for (const [i, part] of partitions.entries()) {
    const [evictions = null] = await options.store.evictions([keys.meta(part.key)]);
    const done = await writePartition(options, part, { ...(metas[i] as ViewMeta), evictions }, head);
    entities += part.state.entities;
    written = { keys: written.keys + done.keys, bytes: written.bytes + done.bytes };
    options.progress?.({ step: 'write', view: view.id, ...written });
  }
  return { view: view.id, entities, ...written };
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
