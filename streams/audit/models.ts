import { tables, topics } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import { type Bounds, boundsOf, readTopic } from '../runtime/topic.ts';
import { type Books, Finding, type Found, lagging, Tally, tallyRows } from './books.ts';
import { type ShadowAudit, ShadowBooks } from './shadows.ts';

export interface ModelAudit {
  readonly model: string;
  /** Accepted events that ask. */
  readonly requests: number;
  /** Requests answered on the predictions topic; `refused` of them without a score. */
  readonly predictions: number;
  readonly refused: number;
  readonly repeats: number;
  readonly rows: number;
  /** Requests that inference has not come to. */
  readonly waiting: number;
  readonly unarchived: number;
  readonly missing: Found;
  readonly missingRows: Found;
  /** Several rows, or an answer that nobody asked for. */
  readonly double: Found;
  /** Versions that were scored beside, in their order. */
  readonly shadows: readonly ShadowAudit[];
}

/**
 * requests = predictions = rows, and the same of each version that shadows.
 *
 * @param asked source offsets of the accepted events that ask the model.
 */
export async function auditModel(
  books: Books,
  model: Model,
  asked: Tally,
  partitions: number,
): Promise<ModelAudit> {
  const { project, kafka, warehouse, codecs, tick } = books;
  const { prefix } = project;
  const topic = topics.predictions(prefix, model.name);
  // Shadow answers come before the answers of their requests: read first, none is missed by what comes meanwhile.
  const shadows = await ShadowBooks.read(books, model);
  const behind = await lagging(books, topic);
  const answered = new Tally();
  let repeats = 0;
  let refused = 0;
  const take = ({ value }: { value: Uint8Array | null }): void => {
    if (value === null) return;
    const prediction = codecs.predictions.read(value);
    if (prediction === null) return;
    const { sourcePartition, sourceOffset, status } = prediction;
    if (answered.add(sourcePartition, sourceOffset) > 0) {
      repeats += 1;
      return;
    }
    if (status === 'refused') refused += 1;
    shadows.see(prediction);
  };
  const bounds = await boundsOf(kafka, topic);
  await readTopic(kafka, topic, bounds, take, undefined, tick);
  const stored = await tallyRows(warehouse, tables.predictions(prefix, model.name), '1');
  const found = compareAnswers({ asked, answered, stored, behind, bounds, partitions });
  return {
    model: model.name,
    requests: asked.size,
    predictions: answered.size,
    refused,
    repeats,
    rows: stored.size,
    ...found,
    shadows: await shadows.close(asked, partitions),
  };
}

interface AnswerFacts {
  readonly asked: Tally;
  readonly answered: Tally;
  readonly stored: Tally;
  /** Partitions that the archive has not read to their end. */
  readonly behind: ReadonlySet<number>;
  /** Of the predictions topic. */
  readonly bounds: Bounds;
  readonly partitions: number;
}

/** Follows each request to its answer and its row. */
function compareAnswers({ asked, answered, stored, behind, bounds, partitions }: AnswerFacts) {
  let waiting = 0;
  let unarchived = 0;
  const [missing, missingRows, double] = [new Finding(), new Finding(), new Finding()];
  for (let partition = 0; partition < partitions; partition++) {
    const last = answered.last(partition);
    const end = Math.max(asked.last(partition), last, stored.last(partition));
    // A topic that was cut may have had the answer of a row.
    const whole = (bounds[partition]?.start ?? 0) === 0;
    for (let offset = 0; offset <= end; offset++) {
      const request = asked.of(partition, offset) > 0;
      const answer = answered.of(partition, offset) > 0;
      const kept = stored.of(partition, offset);
      // An event that was accepted after its topic was read asks as well: only what lies behind is unasked.
      const unasked = !request && (answer || kept > 0) && offset <= asked.last(partition);
      if (unasked || kept > 1 || (whole && request && kept === 1 && !answer && offset <= last)) {
        double.add(partition, offset);
      } else if (request && !answer && kept === 0) {
        if (offset > last) waiting += 1;
        else missing.add(partition, offset);
      } else if (answer && kept === 0) {
        // Rows are stored in the order of their offsets: what lies below the last one was passed over.
        if (behind.has(partition) && offset > stored.last(partition)) unarchived += 1;
        else missingRows.add(partition, offset);
      }
    }
  }
  return { waiting, unarchived, missing, missingRows, double };
}
