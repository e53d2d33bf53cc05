import { stretchAt, timelineOf } from '../../infrastructure/registry/history.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Model } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { boundsOf, readTopic } from '../runtime/topic.ts';
import { type Books, Finding, type Found, lagging, Tally, tallyRows } from './books.ts';

/** Of a version that was scored beside the champion. */
export interface ShadowAudit {
  readonly model: string;
  readonly version: number;
  readonly answers: number;
  readonly repeats: number;
  readonly rows: number;
  readonly unarchived: number;
  /** Requests between its first answer and its last (of a partition) that another version answered and it should have. */
  readonly missing: Found;
  readonly missingRows: Found;
  /** Several rows, or an answer that nobody asked for. */
  readonly double: Found;
}

interface Page {
  readonly answered: Tally;
  /** First offset by partition. */
  readonly first: number[];
  repeats: number;
  readonly missing: Finding;
}

/** The shadow topic of a model, read to its end; then it is shown what the predictions topic holds. */
export class ShadowBooks {
  readonly #books: Books;
  readonly #model: Model;
  readonly #behind: ReadonlySet<number>;
  readonly #timeline: ReturnType<typeof timelineOf>;
  readonly #pages: ReadonlyMap<number, Page>;

  private constructor(
    books: Books,
    model: Model,
    behind: ReadonlySet<number>,
    timeline: ReturnType<typeof timelineOf>,
    pages: ReadonlyMap<number, Page>,
  ) {
    this.#books = books;
    this.#model = model;
    this.#behind = behind;
    this.#timeline = timeline;
    this.#pages = pages;
  }

  static async read(books: Books, model: Model): Promise<ShadowBooks> {
    const { project, kafka, codecs, tick } = books;
    const topic = topics.shadow(project.prefix, model.name);
    const behind = await lagging(books, topic);
    const pages = new Map<number, Page>();
    const take = ({ value }: { readonly value: Uint8Array | null }): void => {
      if (value === null) return;
      const prediction = codecs.predictions.read(value);
      if (prediction === null) return;
      const { modelVersion, sourcePartition, sourceOffset } = prediction;
      let page = pages.get(modelVersion);
      if (page === undefined) {
        page = { answered: new Tally(), first: [], repeats: 0, missing: new Finding() };
        pages.set(modelVersion, page);
      }
      page.first[sourcePartition] ??= sourceOffset;
      if (page.answered.add(sourcePartition, sourceOffset) > 0) page.repeats += 1;
    };
    await readTopic(kafka, topic, await boundsOf(kafka, topic), take, undefined, tick);
    const registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
    const timeline = timelineOf(await registry.history(model.name));
    return new ShadowBooks(books, model, behind, timeline, pages);
  }

  /** An answer of the predictions topic: whoever shadowed at its time has one beside it. */
  see({ requestTime, modelVersion, sourcePartition: partition, sourceOffset: offset }: Prediction): void {
    for (const version of stretchAt(this.#timeline, requestTime).shadows) {
      const page = this.#pages.get(version);
      if (page === undefined || version === modelVersion || page.answered.of(partition, offset) > 0) continue;
      // Where a change held at once, only the topic knows from which request on.
      if (
        offset > (page.first[partition] ?? Number.POSITIVE_INFINITY) &&
        offset < page.answered.last(partition)
      )
        page.missing.add(partition, offset);
    }
  }

  /** @param asked source offsets of the accepted events that ask the model. */
  async close(asked: Tally, partitions: number): Promise<readonly ShadowAudit[]> {
    const { project, warehouse } = this.#books;
    const table = tables.shadow(project.prefix, this.#model.name);
    const audits: ShadowAudit[] = [];
    for (const [version, { answered, repeats, missing }] of [...this.#pages].sort(([a], [b]) => a - b)) {
      const stored = await tallyRows(warehouse, table, `model_version = ${version}`);
      let unarchived = 0;
      const [missingRows, double] = [new Finding(), new Finding()];
      for (let partition = 0; partition < partitions; partition++) {
        const end = Math.max(answered.last(partition), stored.last(partition));
        for (let offset = 0; offset <= end; offset++) {
          const answer = answered.of(partition, offset) > 0;
          const kept = stored.of(partition, offset);
          const request = asked.of(partition, offset) > 0 || offset > asked.last(partition);
          if (kept > 1 || ((answer || kept > 0) && !request)) double.add(partition, offset);
          else if (answer && kept === 0) {
            if (this.#behind.has(partition) && offset > stored.last(partition)) unarchived += 1;
            else missingRows.add(partition, offset);
          }
        }
      }
      const { size: answers } = answered;
      const model = this.#model.name;
      audits.push({
        model,
        version,
        answers,
        repeats,
        rows: stored.size,
        unarchived,
        missing,
        missingRows,
        double,
      });
    }
    return audits;
  }
}
