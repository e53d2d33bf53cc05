import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { reachOf } from '../../processors/window.ts';
import type { Model, Project, Source } from '../../schemas/project.ts';
import { asError } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';
import { loadDefinition, readDefinitions } from '../apply/definitions.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { type ViewPartition, viewPartitions } from '../runtime/partitions.ts';
import { runUntil, type Stream } from '../runtime/stream.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { createInference, type InferenceDeps } from './inference.ts';
import type { Models } from './predict.ts';
import { type PartitionSnapshot, SnapshotReader } from './snapshot.ts';
import { modelReads } from './vector.ts';

/*
 * A changed view is another view, with keys and progress of its own. Until it can answer what the one before
 * answers, the definition before stays in service:
 *
 *   ingest, features   feed and fold the views of both definitions
 *   inference          runs the model as it was, on the views as they were; between two batches it changes over
 *                      to the model as it is once its views have caught up and the champion fits its layout. A model
 *                      that reads local views alone is then ingest's to answer (local/compose.ts)
 *   HTTP API           makes the same choice for whoever asks it directly
 *
 * Changing over is ending one inference stream and beginning the other, in the same group and on the same topics:
 * inference goes on from its own last answer, so no request is lost or answered twice. What goes back (the
 * registry's champion is again one of the layout before) changes over back in the same way.
 */

interface BeforeDeps {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Pick<Codecs, 'models'>;
  readonly telemetry: Telemetry;
}

/**
 * The last definition applied under the prefix, other than the one that runs, that there is something to take over
 * from: a model of it still answers, and its views can be read as far back as they declare, and still be fed.
 */
export async function definitionBefore(deps: BeforeDeps): Promise<Project | null> {
  const snapshots = new SnapshotReader(deps.store);
  for (const definition of (await readDefinitions(deps)).reverse()) {
    if (definition.hash === deps.project.hash) continue;
    const before = loadDefinition(definition, deps.project);
    if (before !== null && (await answersStill(deps, before, snapshots))) return before;
  }
  return null;
}

async function answersStill(deps: BeforeDeps, before: Project, snapshots: SnapshotReader): Promise<boolean> {
  const { project, telemetry } = deps;
  const leaving = viewsOnlyIn(before, project);
  if (leaving.length === 0) return false;
  const partitions = leaving.flatMap((view) => viewPartitions(before.prefix, view));
  const standing = await snapshots.read(partitions.map((of) => ({ of, entities: [] })));
  if (!partitions.every(({ view }, i) => isWhole(view, standing[i]))) return false;
  const lacking = before.sources.flatMap((source) => missingFields(source, project));
  if (lacking.length > 0) {
    telemetry.note('run', 'nothing to take over', {
      reason: `the views before need ${lacking.join(', ')}, which the sources no longer have`,
    });
    return false;
  }
  const registry = createModelRegistry({
    kafka: deps.kafka,
    codec: deps.codecs.models,
    prefix: project.prefix,
  });
  for (const model of project.models) {
    const former = formerOf(model, before);
    if (former === null) continue;
    const layout = (await registry.history(model.name)).champion?.layout ?? null;
    const look = createLook(snapshots, { project, model }, { project: before, model: former });
    if ((await look(layout)) === 'former') {
      telemetry.note('run', 'takes over', {
        views: viewsOnlyIn(project, before)
          .map(({ id }) => id)
          .join(' '),
        before: leaving.map(({ id }) => id).join(' '),
      });
      return true;
    }
  }
  return false;
}

/** The project that ingest and features work while both definitions are in service. */
export function withViewsOf(project: Project, before: Project | null): Project {
  if (before === null) return project;
  return { ...project, views: [...project.views, ...viewsOnlyIn(before, project)] };
}

const LOOK_EVERY_MS = 200;

/**
 * Inference of a model that takes over from its own earlier definition.
 * @param present what answers from then on.
 */
export function createTakeover(
  deps: InferenceDeps,
  before: Project,
  present: Stream = createInference(deps),
): Stream {
  const { project, model, clock, telemetry } = deps;
  const name = `inference ${model.name}`;
  const former = formerOf(model, before);
  if (former === null) return present;
  const look = createLook(
    new SnapshotReader(deps.store),
    { project, model },
    { project: before, model: former },
  );
  const streams: Readonly<Record<Serving, Stream>> = {
    former: createInference({ ...deps, project: before, model: former }),
    present,
  };
  const choose = (now: Serving): Promise<Serving> => {
    const { champion } = deps.models.current()(Number.POSITIVE_INFINITY);
    return look(champion?.layoutHash ?? null).catch((error: unknown) => {
      telemetry.failure(name, asError(error));
      return now;
    });
  };

  async function run(signal: AbortSignal, healthy?: () => void): Promise<void> {
    let serving = await choose('former');
    const over = async (): Promise<boolean> => {
      const next = await choose(serving);
      if (next === serving) return false;
      telemetry.note(name, next === 'present' ? 'took over' : 'went back', { layout: model.layoutHash });
      serving = next;
      return true;
    };
    while (!signal.aborted) await runUntil(streams[serving], clock, LOOK_EVERY_MS, over, signal, healthy);
  }

  return { name, run };
}

/**
 * Which definition of a model answers whoever asks it directly: the same choice as that of its stream. Throws StoreError.
 */
export function createServed(
  deps: Pick<InferenceDeps, 'project' | 'model' | 'store' | 'clock'> & { readonly models: Models },
  before: Project | null,
): () => Promise<Served> {
  const { project, model, store, clock, models } = deps;
  const present: Served = { project, model };
  const modelBefore = before === null ? null : formerOf(model, before);
  if (before === null || modelBefore === null) return async () => present;
  const former: Served = { project: before, model: modelBefore };
  const look = createLook(new SnapshotReader(store), present, former);
  return nowAndThen(clock, async () => {
    const { champion } = models.current()(Number.POSITIVE_INFINITY);
    return (await look(champion?.layoutHash ?? null)) === 'former' ? former : present;
  });
}

/** What a look found, which is not taken again for some time. */
function nowAndThen<T>(clock: Pick<InferenceDeps['clock'], 'now'>, look: () => Promise<T>): () => Promise<T> {
  let lookAt = Number.NEGATIVE_INFINITY;
  let found: Promise<T> | undefined;
  return () => {
    if (found !== undefined && clock.now() < lookAt) return found;
    lookAt = clock.now() + LOOK_EVERY_MS;
    found = look();
    return found;
  };
}

/**
 * Which definition of a view answers whoever asks for its features: the one before, until the present one can answer as
 * far back as it declares. Throws StoreError.
 */
export function createServedView(
  { project, store, clock }: Pick<InferenceDeps, 'project' | 'store' | 'clock'>,
  view: View,
  before: Project | null,
): () => Promise<View> {
  const former = before?.views.find(
    ({ name, entity }) => name === view.name && entity.join('|') === view.entity.join('|'),
  );
  if (former === undefined || former.id === view.id) return async () => view;
  const snapshots = new SnapshotReader(store);
  const partitions = viewPartitions(project.prefix, view);
  return nowAndThen(clock, async () => {
    const found = await snapshots.read(partitions.map((of) => ({ of, entities: [] })));
    return found.every((snapshot) => isWhole(view, snapshot)) ? view : former;
  });
}

/** The model as it was, where it answered the same requests. */
export function formerOf(model: Model, before: Project): Model | null {
  const former = before.models.find(({ name }) => name === model.name);
  const same =
    former?.request.source === model.request.source && former.request.eventType === model.request.eventType;
  return same ? former : null;
}

type Serving = 'former' | 'present';

/** A definition of a model, in its project. */
export interface Served {
  readonly project: Project;
  readonly model: Model;
}

/**
 * Tells, from one look at the metas, which definition of a model is to answer. The present one has caught up when
 * its views can answer all that reaches back as far as they declare, and have come to where the former ones
 * stood at the look before.
 */
function createLook(
  snapshots: SnapshotReader,
  present: Served,
  former: Served,
): (championLayout: string | null) => Promise<Serving> {
  const after = viewsRead(present);
  const before = viewsRead(former);
  const layouts = { former: former.model.layoutHash, present: present.model.layoutHash };
  let reached: number | null = null;

  return async (championLayout) => {
    const found = await snapshots.read([...after, ...before].map((of) => ({ of, entities: [] })));
    const frontiers = found.map(({ unreadable, meta }) =>
      unreadable === null ? (meta?.frontier ?? Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY,
    );
    const whole = after.every(({ view }, i) => isWhole(view, found[i]));
    const stood = Math.min(...frontiers.slice(after.length));
    const caughtUp = whole && Math.min(...frontiers.slice(0, after.length)) >= (reached ?? stood);
    reached = stood;
    // A champion of a layout that only one of the two makes leaves no choice.
    if (layouts.former !== layouts.present && championLayout === layouts.present) return 'present';
    if (layouts.former !== layouts.present && championLayout === layouts.former) return 'former';
    return caughtUp ? 'present' : 'former';
  };
}

/** Whether a view partition can be read at its frontier as far back as the view declares. */
function isWhole(view: View, snapshot: PartitionSnapshot | undefined): boolean {
  const meta = snapshot?.unreadable === null ? snapshot.meta : null;
  if (meta === null || meta.frontier === null) return false;
  return meta.base === null || meta.frontier - view.readDelay - reachOf(view) >= meta.base;
}

/** The partitions of the views that a model reads. */
function viewsRead({ project, model }: Served): ViewPartition[] {
  const { reads } = modelReads(project, model);
  return [
    ...new Map(reads.flatMap(({ partitions }) => partitions.map((of) => [of.key, of] as const))).values(),
  ];
}

function viewsOnlyIn(project: Project, other: Project): View[] {
  const known = new Set(other.views.map(({ id }) => id));
  return project.views.filter(({ id }) => !known.has(id));
}

/** Fields of a source that its present self no longer has, or has of another type. */
function missingFields(source: Source, project: Project): string[] {
  const now = project.sources.find(({ name }) => name === source.name);
  return source.fields
    .filter(({ name, type }) => !now?.fields.some((field) => field.name === name && field.type === type))
    .map(({ name }) => `${source.name}.${name}`);
}
