import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { type AsOf, asOf } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { View } from '../../schemas/view.ts';
import { readPast, startFor } from '../history/past.ts';
import { SnapshotReader } from '../inference/snapshot.ts';
import { ViewFeatures } from '../inference/view-features.ts';

/** The features of one entity as a request at `time` would see them. Times are epoch ms of event time. */
export interface LookUp {
  readonly view: string;
  readonly entity: string;
  readonly time: number;
  /** The young edge that was read, and the sketches' own. */
  readonly asOf: number;
  readonly sketchAsOf: number | null;
  readonly ageMs: number;
  /** Read from the online store, or computed from the archive by the same processors. */
  readonly source: 'online' | 'history';
  /** By feature; null where empty. */
  readonly features: Readonly<Record<string, number | null>>;
}

export class NoFeatures extends MillraceError {
  readonly code = 'no_features';
  readonly retriable = true;
}

export interface LookUpDeps {
  readonly project: Project;
  readonly store: OnlineStore;
  readonly warehouse: Warehouse;
}

export interface LookUpOptions {
  readonly view: View;
  readonly entity: string;
  /** Event time of the request; null = the newest for which every value is exact. */
  readonly time: number | null;
  /** IANA zone for periodic features; null = UTC. */
  readonly zone: string | null;
}

/**
 * What is known of an entity: from the online store, or, where the time is older than what is kept there, from
 * the archive. Throws NoFeatures where neither can tell.
 */
export async function lookUp(deps: LookUpDeps, options: LookUpOptions): Promise<LookUp> {
  const { view, entity, zone, time } = options;
  const features = new ViewFeatures(deps.project.prefix, view, new SnapshotReader(deps.store));
  const [found] = await features.read([{ entity, time, zone }]);
  if (found?.status === 'read') return answer(view, entity, found.time, found.edge, 'online', found.values);
  const past = found?.reason === 'behind' ? found.time : time;
  if (past !== null) return readHistory(deps, options, past);
  throw new NoFeatures(
    `View ${view.id} has no state under ${deps.project.prefix} yet: are ingest and features running, and did events arrive? (--at reads from the archive.)`,
  );
}

async function readHistory(
  { project, warehouse }: LookUpDeps,
  { view, entity, zone }: LookUpOptions,
  time: number,
): Promise<LookUp> {
  const edge = asOf(view, time, Number.POSITIVE_INFINITY);
  const state = new ViewState(view);
  let events = 0;
  for await (const batch of readPast({
    project,
    warehouse,
    views: [view],
    from: startFor([view], time),
    to: time,
  }))
    for (const { contributions } of batch) {
      events += 1;
      const [contribution] = contributions;
      if (contribution !== null && contribution !== undefined && contribution.entity === entity)
        state.apply(contribution);
    }
  if (events === 0)
    throw new NoFeatures(
      `The archive of ${project.prefix} holds no events before ${new Date(time).toISOString()} that ${view.id} could be computed from.`,
    );
  const out = new Float64Array(view.features.length);
  state.read(entity, { time, zone }, edge, out, 0);
  return answer(view, entity, time, edge, 'history', out);
}

function answer(
  view: View,
  entity: string,
  time: number,
  edge: AsOf,
  source: LookUp['source'],
  values: Float64Array,
): LookUp {
  return {
    view: view.id,
    entity,
    time,
    asOf: edge.asOf,
    sketchAsOf: Number.isNaN(edge.sketchAsOf) ? null : edge.sketchAsOf,
    ageMs: time - edge.asOf,
    source,
    features: Object.fromEntries(
      view.features.map(({ name }, i) => {
        const value = values[i] ?? Number.NaN;
        return [name, Number.isNaN(value) ? null : value];
      }),
    ),
  };
}
