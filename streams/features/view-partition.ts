import type { TopicPartition } from '../../infrastructure/kafka/port.ts';
import { Folder } from '../../processors/fold.ts';
import { freshMeta, ownPartition, type ViewMeta } from '../../processors/meta.ts';
import { keys, rawTopicNamed } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import { KeptBytes } from './kept-bytes.ts';

/** A view partition that this process owns. */
export interface OwnedView extends TopicPartition {
  readonly view: View;
  /** Raw topics of the view's sources. */
  readonly topics: readonly string[];
  /** Of a local view: the source partition that feeds it, `topic:partition`; else null. */
  readonly own: string | null;
  /** Prefix of its keys in the online store. */
  readonly key: string;
  /** The meta as the store has it, byte for byte. */
  expected: Uint8Array | null;
  meta: ViewMeta;
  /** Bytes of each log's last compaction, by key: a hint when to look, never a truth; forgotten at will. */
  readonly compactions: Map<string, number>;
  /** What compaction keeps for readers that are behind. */
  kept: KeptBytes;
  /** Empty between two commits. */
  readonly folder: Folder;
  /** A backfill is writing it: nothing is folded until its meta says ready. */
  building: boolean;
  /** The newest raw record that it was told of had been appended long before. */
  backlog: boolean;
  /** It waits for readers: nothing is fetched. */
  paused: boolean;
}

/** A view partition of which nothing is known yet: its meta must be read. */
export function ownView(project: Project, view: View, { topic, partition }: TopicPartition): OwnedView {
  const rawTopics = view.sources.map((source) => rawTopicNamed(project, source));
  const meta: ViewMeta = { ...freshMeta('', 0, false), status: 'clearing' };
  return {
    view,
    topic,
    partition,
    topics: rawTopics,
    own: ownPartition(view, rawTopics, partition),
    key: keys.viewPartition(project.prefix, view.id, partition),
    expected: null,
    meta,
    compactions: new Map(),
    kept: new KeptBytes(meta),
    folder: new Folder(view),
    building: false,
    backlog: false,
    paused: false,
  };
}
