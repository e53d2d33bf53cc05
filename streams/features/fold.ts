import type { KafkaRecord, OutgoingRecord } from '../../infrastructure/kafka/port.ts';
import type { Commit } from '../../infrastructure/redis/port.ts';
import { applyBlock, type RefusedContribution } from '../../processors/apply-block.ts';
import { encodeMeta, type ViewMeta } from '../../processors/meta.ts';
import { reachOf } from '../../processors/window.ts';
import { keys, rawTopic, topics } from '../../schemas/names.ts';
import { NOT_CUT } from '../runtime/dead-letter-record.ts';
import type { FeaturesContext } from './context.ts';
import type { OwnedView } from './view-partition.ts';

/** A commit blocks every reader of the store while it lasts, so it is cut at this many keys. */
const MAX_KEYS = 450;

/** Records of a view partition, folded into one commit. */
export interface Folded {
  readonly state: OwnedView;
  /** Records taken. */
  readonly taken: number;
  readonly meta: ViewMeta;
  readonly commit: Commit;
  readonly refused: readonly RefusedContribution[];
  /** Contributions of the records, repeats and refused ones among them. */
  readonly contributions: number;
}

/** Folds records of one view partition, in order, until the commit is large enough. */
export function foldRecords(
  { codecs, project, readers }: FeaturesContext,
  state: OwnedView,
  records: readonly KafkaRecord[],
): Folded {
  const { folder, view } = state;
  const refused: RefusedContribution[] = [];
  let meta = state.meta;
  let taken = 0;
  let contributions = 0;
  for (const record of records) {
    if (record.value !== null) {
      const sections = codecs.blocks.read(record.value)?.sections ?? [];
      const incoming = sections.reduce((count, section) => count + section.contributions.length, 0);
      if (taken > 0 && (folder.entities + incoming) * view.sets.length > MAX_KEYS) break;
      meta = { ...applyBlock(state, meta, sections, folder, refused), next: record.offset + 1 };
      contributions += incoming;
    }
    taken += 1;
  }
  let appendedBytes = meta.appendedBytes;
  const appends = folder.drain().map(({ set, entity, bytes }) => {
    appendedBytes += bytes.byteLength;
    return [keys.log(state.key, view.sets[set]?.suffix ?? 'w', entity), bytes] as const;
  });
  const heldBytes = state.kept.since(readers.leastHead(view) + view.slack);
  meta = { ...meta, appendedBytes, heldBytes };
  const { stateExtra } = project.retention;
  const commit = {
    metaKey: keys.meta(state.key),
    expected: state.expected,
    next: encodeMeta(meta),
    sets: [],
    appends,
    deletes: [],
    logTtlMs: reachOf(view) + stateExtra,
    metaTtlMs: stateExtra,
    evictions: meta.evictions,
  };
  return { state, taken, meta, commit, refused, contributions };
}

/** A contribution that was refused, as a dead letter of its source. */
export function deadLetterOf(
  { codecs, project }: FeaturesContext,
  { view, partition }: OwnedView,
  { section, contribution, code, detail }: RefusedContribution,
): OutgoingRecord {
  const { prefix } = project;
  const source = project.sources.find((one) => rawTopic(prefix, one) === section.topic);
  if (source === undefined)
    throw new Error(`a section of ${view.id} names ${section.topic}, which is no raw topic of the project`);
  return {
    topic: topics.deadLetters(prefix, source.name),
    partition: section.partition,
    key: null,
    value: codecs.deadLetters.encode({
      format: 1,
      stage: 'features',
      code,
      detail,
      sourceTopic: section.topic,
      sourcePartition: section.partition,
      sourceOffset: contribution.offset,
      appendTime: 0,
      arrivedAt: null,
      eventId: null,
      eventTime: contribution.time,
      writer: `${view.id}:${partition}`,
      key: null,
      value: null,
      ...NOT_CUT,
    }),
  };
}
