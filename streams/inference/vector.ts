import { assembler } from '../../processors/assemble.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { partitionOf } from '../../processors/partition.ts';
import { asOf, createReader, limitsOf, type Reader } from '../../processors/read.ts';
import type { AsOf } from '../../processors/window.ts';
import type { EventRecord } from '../../schemas/event.ts';
import type { Model, Project, ViewRead } from '../../schemas/project.ts';
import type { AbsentRead, ViewReading } from '../../schemas/records/prediction.ts';
import type { PredictionRefusal } from '../../schemas/refusal.ts';
import { headOf } from '../../schemas/time.ts';
import type { View } from '../../schemas/view.ts';
import { type ViewPartition, viewPartitions } from '../runtime/partitions.ts';
import type { PartitionSnapshot, SnapshotReader } from './snapshot.ts';

/** One read of one view by a model, resolved. */
export interface ModelRead {
  readonly declared: ViewRead;
  readonly view: View;
  readonly reader: Reader;
  readonly partitions: readonly ViewPartition[];
  /** Where this read's values lie in the stored values of a request. */
  readonly offset: number;
}

/** Where one read of one request goes. */
export interface Target {
  /** Index of the model's read. */
  readonly read: number;
  readonly of: ViewPartition;
  readonly entity: string;
  /** The young edge that the request's time asks for. */
  readonly head: number;
}

/** A request, the time as of which it reads (epoch ms), and where its reads go. */
export interface VectorRequest {
  readonly event: EventRecord;
  readonly time: number;
  readonly targets: readonly Target[];
}

export type Vector =
  | {
      readonly status: 'read';
      readonly values: Float64Array;
      readonly reads: readonly ViewReading[];
      readonly absent: readonly AbsentRead[];
    }
  | {
      readonly status: 'refused';
      readonly reason: PredictionRefusal;
      readonly reads: readonly ViewReading[];
      readonly absent: readonly AbsentRead[];
    };

/** Of a request that lacks a part of the key of a read. */
export const NO_KEY: Vector = { status: 'refused', reason: 'missing_key', reads: [], absent: [] };

/** Makes the feature vectors of a model's requests from snapshots of the online store. */
export class VectorReader {
  readonly #reads: readonly ModelRead[];
  readonly #assemble: (stored: Float64Array, event: EventRecord) => Float64Array;
  readonly #stored: Float64Array;
  readonly #snapshots: Pick<SnapshotReader, 'read'>;

  constructor(project: Project, model: Model, snapshots: Pick<SnapshotReader, 'read'>) {
    const { reads, width } = modelReads(project, model);
    this.#reads = reads;
    this.#snapshots = snapshots;
    this.#stored = new Float64Array(width);
    this.#assemble = assembler(model, reads);
  }

  /** View partitions that any request may read. */
  get partitions(): readonly ViewPartition[] {
    return [
      ...new Map(
        this.#reads.flatMap(({ partitions }) => partitions.map((p) => [p.key, p] as const)),
      ).values(),
    ];
  }

  /**
   * Where the reads of a request at `time` go, in the model's order, without the optional ones that it has no key for; null where
   * it lacks a part of another key.
   */
  targets(event: EventRecord, time: number): Target[] | null {
    const targets: Target[] = [];
    for (const [read, { declared, view, partitions }] of this.#reads.entries()) {
      const entity = entityKey(event, declared.key, declared.defaults);
      if (entity === null && declared.optional) continue;
      const of = entity === null ? undefined : partitions[partitionOf(entity, view.partitions)];
      if (entity === null || of === undefined) return null;
      targets.push({ read, of, entity, head: headOf(time, view.readDelay, view.resolution) });
    }
    return targets;
  }

  /** Reads all requests of a batch in one round trip, one snapshot a view partition. */
  async read(requests: readonly VectorRequest[]): Promise<Vector[]> {
    const wanted = new Map<string, { of: ViewPartition; entities: Set<string> }>();
    for (const { targets } of requests)
      for (const { of, entity } of targets) {
        const known = wanted.get(of.key);
        if (known === undefined) wanted.set(of.key, { of, entities: new Set([entity]) });
        else known.entities.add(entity);
      }
    const asked = [...wanted.values()].map(({ of, entities }) => ({ of, entities: [...entities] }));
    const found = await this.#snapshots.read(asked);
    const byKey = new Map(asked.map(({ of }, i) => [of.key, found[i]]));
    return requests.map((request) => this.#vector(request, byKey));
  }

  #vector(
    { event, time, targets }: VectorRequest,
    snapshots: ReadonlyMap<string, PartitionSnapshot | undefined>,
  ): Vector {
    const reads: ViewReading[] = [];
    const absent = this.#withoutKey(targets);
    const refused = (reason: PredictionRefusal): Vector => ({ status: 'refused', reason, reads, absent });
    for (const { read: index, of, entity, head } of targets) {
      const read = this.#reads[index];
      const snapshot = snapshots.get(of.key);
      if (
        read === undefined ||
        snapshot === undefined ||
        snapshot.meta === null ||
        snapshot.unreadable !== null
      )
        return refused(snapshot?.unreadable ?? 'no_frontier');
      const edge = asOf(read.view, time, snapshot.meta.frontier ?? Number.NEGATIVE_INFINITY);
      reads.push(readingOf(read, entity, head, edge, time));
      if (isStale(read.declared, time, edge.asOf)) {
        if (read.declared.maxAge?.older !== 'nulls') return refused('stale');
        absent.push({ read: read.declared.name, reason: 'stale' });
        this.#empty(read);
        continue;
      }
      const status = read.reader.read(
        snapshot.logs(entity),
        { time, zone: zoneOf(read.declared, event) },
        edge,
        limitsOf(snapshot.meta),
        this.#stored,
        read.offset,
      );
      if (status === 'behind') return refused('behind');
    }
    return { status: 'read', values: this.#assemble(this.#stored, event), reads, absent };
  }

  /** Empties the values of the reads that a request has no key for. */
  #withoutKey(targets: readonly Target[]): AbsentRead[] {
    if (targets.length === this.#reads.length) return [];
    const missing = this.#reads.filter((_, index) => !targets.some(({ read }) => read === index));
    for (const read of missing) this.#empty(read);
    return missing.map(({ declared }) => ({ read: declared.name, reason: 'missing_key' }));
  }

  #empty({ offset, view }: ModelRead): void {
    this.#stored.fill(Number.NaN, offset, offset + view.features.length);
  }
}

function readingOf(read: ModelRead, entity: string, head: number, edge: AsOf, time: number): ViewReading {
  return {
    read: read.declared.name,
    view: read.view.id,
    entity,
    head,
    asOf: edge.asOf,
    sketchAsOf: Number.isNaN(edge.sketchAsOf) ? null : edge.sketchAsOf,
    ageMs: time - edge.asOf,
  };
}

/** Whether a state that has a frontier is too old for a request. One without is refused as such. */
function isStale({ maxAge }: ViewRead, time: number, asOfTime: number): boolean {
  return maxAge !== null && Number.isFinite(asOfTime) && time - asOfTime > maxAge.ms;
}

/** The zone that a read of a request has; null = UTC. */
export function zoneOf({ zone }: ViewRead, event: EventRecord): string | null {
  const value = zone === null ? null : event[zone];
  return typeof value === 'string' ? value : null;
}

/** The reads of a model with their views, and how many stored values they make together. */
export function modelReads(
  project: Project,
  model: Model,
): { readonly reads: readonly ModelRead[]; readonly width: number } {
  let width = 0;
  const reads = model.reads.map((declared): ModelRead => {
    const view = project.views.find(({ name }) => name === declared.view);
    if (view === undefined)
      throw new Error(
        `model ${model.name} reads view ${declared.view}, which project ${project.name} does not have`,
      );
    const offset = width;
    width += view.features.length;
    const partitions = viewPartitions(project.prefix, view);
    return { declared, view, reader: createReader(view), partitions, offset };
  });
  return { reads, width };
}
