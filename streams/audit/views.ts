import type { Kafka, KafkaRecord } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { isTooOld } from '../../processors/contribute.ts';
import type { ViewMeta } from '../../processors/meta.ts';
import { topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { type Bounds, boundsOf, readTopic } from '../runtime/topic.ts';
import { Finding, type Found, Tally, type ViewLetters } from './books.ts';
import { readMetas } from './metas.ts';

/** What the state of a view took of its topic. Of all its partitions together. */
export interface ViewAudit {
  readonly view: string;
  /** Contributions on the topic, up to where the state has come; repeats and what a backfill had taken apart. */
  readonly contributions: number;
  /** As the state counts them. */
  readonly applied: number;
  readonly refused: number;
  /** Dead letters that tell of the refused. */
  readonly letters: number;
  /** Records beyond the first of one source offset. */
  readonly repeats: number;
  /** Taken from the archive by a backfill, which had them before the topic told. */
  readonly backfilled: number;
  /** Contributions that features has not come to. */
  readonly waiting: number;
  /** Partitions that have no state to read. */
  readonly without: readonly number[];
  /** Partitions where contributions are not applied + refused, or letters are fewer than refused. */
  readonly off: readonly number[];
  /** Contributions refused as `too_old` though the view waits longer, and those it took though they are too old (raw places). */
  readonly tooOldWrong: Found;
  readonly tooOldTaken: Found;
}

interface ViewBooks {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly store: OnlineStore;
  readonly codecs: Codecs;
  readonly tick: (records: number) => void;
  /** Refused source offsets by writer (`view:partition`), for each raw topic. */
  readonly letters: ReadonlyMap<string, ReadonlyMap<string, ViewLetters>>;
}

/** contributions = applied + refused, by partition of a view. */
export async function auditView(books: ViewBooks, view: View): Promise<ViewAudit> {
  const { project, kafka, store, letters } = books;
  const partitions = Array.from({ length: view.partitions }, (_, partition) => partition);
  const metas = await readMetas({ project, store }, view);
  const topic = topics.view(project.prefix, view.id);
  const bounds = await boundsOf(kafka, topic);
  const { counted, ...found } = await readContributions(books, view, metas, bounds);

  const told = metas.map((meta, p) => (meta === null ? 0 : lettersOf(meta, `${view.id}:${p}`, letters)));
  const sum = (of: (meta: ViewMeta) => number) =>
    metas.reduce((total, meta) => total + (meta === null ? 0 : of(meta)), 0);
  const whole = (p: number) => (bounds[p]?.start ?? 0) === 0;
  return {
    view: view.id,
    contributions: counted.reduce((a, b) => a + b, 0),
    applied: sum(({ applied }) => applied),
    refused: sum(({ refused }) => refused),
    letters: told.reduce((a, b) => a + b, 0),
    ...found,
    without: partitions.filter((p) => metas[p]?.status !== 'ready'),
    off: partitions.filter((p) => {
      const meta = metas[p];
      if (meta?.status !== 'ready' || !whole(p)) return false;
      return counted[p] !== meta.applied + meta.refused || (told[p] ?? 0) < meta.refused;
    }),
  };
}

/** What stands on a view's topic, against where its states have come. */
async function readContributions(
  { project, kafka, codecs, tick, letters }: ViewBooks,
  view: View,
  metas: ReadonlyArray<ViewMeta | null>,
  bounds: Bounds,
) {
  const seen = metas.map(() => new Map<string, Tally>());
  const counted = metas.map(() => 0);
  const found = {
    repeats: 0,
    backfilled: 0,
    waiting: 0,
    tooOldWrong: new Finding(),
    tooOldTaken: new Finding(),
  };
  const see = ({ partition, offset: at, value }: KafkaRecord): void => {
    const meta = metas[partition] ?? null;
    const tallies = seen[partition];
    if (value === null || meta === null || tallies === undefined) return;
    for (const section of codecs.blocks.read(value)?.sections ?? []) {
      const source = `${section.topic}:${section.partition}`;
      const begin = meta.sources[source]?.begin ?? -1;
      const tally = tallies.get(source) ?? new Tally();
      tallies.set(source, tally);
      const told = letters.get(section.topic)?.get(`${view.id}:${partition}`);
      for (const contribution of section.contributions) {
        const { offset } = contribution;
        if (offset <= begin) found.backfilled += 1;
        else if (tally.add(0, offset) > 0) found.repeats += 1;
        else if (at >= meta.next) found.waiting += 1;
        else {
          counted[partition] = (counted[partition] ?? 0) + 1;
          const old = isTooOld(view, contribution);
          if (old && (told?.all.of(section.partition, offset) ?? 0) === 0)
            found.tooOldTaken.add(section.partition, offset);
          if (!old && (told?.tooOld.of(section.partition, offset) ?? 0) > 0)
            found.tooOldWrong.add(section.partition, offset);
        }
      }
    }
  };
  await readTopic(kafka, topics.view(project.prefix, view.id), bounds, see, undefined, tick);
  return { counted, ...found };
}

/** Refusals of this life of the state: those of an earlier one that a backfill went past are not in its counts. */
function lettersOf(meta: ViewMeta, writer: string, letters: ViewBooks['letters']): number {
  let count = 0;
  for (const [source, { begin, mark }] of Object.entries(meta.sources)) {
    const at = source.lastIndexOf(':');
    const tally = letters.get(source.slice(0, at))?.get(writer);
    if (tally === undefined) continue;
    const partition = Number(source.slice(at + 1));
    for (let offset = begin + 1; offset <= mark; offset += 1)
      if (tally.all.of(partition, offset) > 0) count += 1;
  }
  return count;
}
