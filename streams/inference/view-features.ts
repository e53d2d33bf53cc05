import { partitionOf } from '../../processors/partition.ts';
import { type AsOf, asOf, createReader, limitsOf, type Reader } from '../../processors/read.ts';
import type { View } from '../../schemas/view.ts';
import { type ViewPartition, viewPartitions } from '../runtime/partitions.ts';
import type { PartitionSnapshot, SnapshotReader, Unreadable } from './snapshot.ts';

/** One entity whose features are asked for. */
export interface FeatureRequest {
  readonly entity: string;
  /** Event time of the request, epoch ms; null = the newest for which every value is exact. */
  readonly time: number | null;
  /** IANA zone for periodic features; null = UTC. */
  readonly zone: string | null;
}

export type FeatureAnswer =
  | {
      readonly status: 'read';
      readonly time: number;
      readonly edge: AsOf;
      /** In the order of the view's features; NaN is null. */
      readonly values: Float64Array;
    }
  | {
      readonly status: 'refused';
      readonly reason: Unreadable | 'behind';
      /** Null where none was asked for and the state could not say. */
      readonly time: number | null;
    };

/** Reads the features of one view as inference reads them, for whoever asks without a model. */
export class ViewFeatures {
  readonly view: View;
  readonly #snapshots: SnapshotReader;
  readonly #partitions: readonly ViewPartition[];
  readonly #reader: Reader;

  constructor(prefix: string, view: View, snapshots: SnapshotReader) {
    this.view = view;
    this.#snapshots = snapshots;
    this.#reader = createReader(view);
    this.#partitions = viewPartitions(prefix, view);
  }

  /** All entities in one round trip, those of one view partition from one snapshot. Throws StoreError. */
  async read(requests: readonly FeatureRequest[]): Promise<FeatureAnswer[]> {
    const wanted = new Map<number, Set<string>>();
    const places = requests.map(({ entity }) => {
      const partition = partitionOf(entity, this.view.partitions);
      const entities = wanted.get(partition);
      if (entities === undefined) wanted.set(partition, new Set([entity]));
      else entities.add(entity);
      return partition;
    });
    const groups = [...wanted].flatMap(([partition, entities]) => {
      const of = this.#partitions[partition];
      return of === undefined ? [] : [{ of, entities: [...entities] }];
    });
    const found = await this.#snapshots.read(groups);
    const byPartition = new Map(groups.map(({ of }, i) => [of.partition, found[i]]));
    return requests.map((request, i) => this.#answer(request, byPartition.get(places[i] ?? 0)));
  }

  #answer(request: FeatureRequest, snapshot: PartitionSnapshot | undefined): FeatureAnswer {
    const meta = snapshot?.meta ?? null;
    if (snapshot === undefined || meta === null || meta.frontier === null || snapshot.unreadable !== null)
      return { status: 'refused', reason: snapshot?.unreadable ?? 'no_frontier', time: request.time };
    const time = request.time ?? meta.frontier + this.view.readDelay;
    const edge = asOf(this.view, time, meta.frontier);
    const values = new Float64Array(this.view.features.length);
    const status = this.#reader.read(
      snapshot.logs(request.entity),
      { time, zone: request.zone },
      edge,
      limitsOf(meta),
      values,
      0,
    );
    return status === 'behind'
      ? { status: 'refused', reason: 'behind', time }
      : { status: 'read', time, edge, values };
  }
}
