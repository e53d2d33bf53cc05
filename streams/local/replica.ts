import { applyBlock } from '../../processors/apply-block.ts';
import { Folder } from '../../processors/fold.ts';
import { LogReplica } from '../../processors/log-replica.ts';
import { ownPartition, type ViewMeta } from '../../processors/meta.ts';
import { keys, rawTopicNamed } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Section } from '../../schemas/records/block.ts';
import type { View } from '../../schemas/view.ts';
import type { PartitionSnapshot } from '../inference/snapshot.ts';
import type { ViewPartition } from '../runtime/partitions.ts';

/**
 * One partition of a local view in the memory of the process that ingests it. It is what features makes of the same sections in the
 * online store: the same function applies them, the same chunks make its logs. So a read here is a read there, once features has come
 * as far.
 */
export class Replica implements ViewPartition {
  readonly view: View;
  readonly partition: number;
  readonly key: string;
  readonly topics: readonly string[];
  readonly own: string | null;
  readonly logs: LogReplica;
  readonly #folder: Folder;
  meta: ViewMeta;

  constructor(project: Project, view: View, partition: number, meta: ViewMeta) {
    this.view = view;
    this.partition = partition;
    this.key = keys.viewPartition(project.prefix, view.id, partition);
    this.topics = view.sources.map((source) => rawTopicNamed(project, source));
    this.own = ownPartition(view, this.topics, partition);
    this.logs = new LogReplica(view);
    this.#folder = new Folder(view);
    this.meta = meta;
  }

  /**
   * Applies sections in the order in which they go to the view's topic. `known`: the last source offset that the log of an entity holds
   * already, where that is beyond the mark. What the view refuses, features tells.
   */
  apply(sections: readonly Section[], known?: (entity: string) => number): void {
    const folder = this.#folder;
    const adding =
      known === undefined
        ? folder
        : {
            add: (one: Section['contributions'][number]) => {
              if (one.offset > known(one.entity)) folder.add(one);
            },
          };
    this.meta = applyBlock(this, this.meta, sections, adding, []);
    for (const { set, entity, bytes } of folder.drain()) this.logs.append(set, entity, bytes);
  }

  /** After what asked for older heads is answered. */
  compact(): void {
    this.logs.compact(this.meta);
  }

  snapshot(): PartitionSnapshot {
    return {
      meta: this.meta,
      unreadable: this.meta.frontier === null ? 'no_frontier' : null,
      logs: (entity) => this.logs.logs(entity),
    };
  }
}
