import type { Clock } from '../../schemas/clock.ts';
import { cappedTime, type EventRecord } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { answerOf, draftOf, type Models, predictionId } from './predict.ts';
import { NO_KEY, type Vector, type VectorReader } from './vector.ts';

/** A request that somebody asks directly and waits for. */
export interface DirectRequest {
  readonly event: EventRecord;
  /** When it came, epoch ms. */
  readonly arrivedAt: number;
  /** Partition of the topic of asked answers that it goes to. */
  readonly partition: number;
}

interface AskerDeps {
  readonly project: Project;
  readonly model: Model;
  readonly models: Models;
  readonly vectors: VectorReader;
  readonly clock: Clock;
}

const LOOK_EVERY_MS = 4;

/**
 * Offset of an answer before it stands in its topic: it is its own lineage, and the archive takes the offset of the record.
 */
const NOT_YET = -1;

/**
 * Answers requests that come over HTTP as inference answers those of the stream: the same reads as of the same edge, the same
 * vector, the same scorer, so the same bits. Like there a request reads as of its event time, but no later than it came.
 */
export class Asker {
  readonly #deps: AskerDeps;

  constructor(deps: AskerDeps) {
    this.#deps = deps;
  }

  /**
   * Reads all requests in one round trip. One whose features have not come to its full head is read again until they have, or
   * `waitMs` are over; then it is answered from what there is, and says so. Throws StoreError.
   */
  async ask(requests: readonly DirectRequest[], waitMs: number): Promise<Prediction[]> {
    const { clock } = this.#deps;
    const started = clock.now();
    const asked = requests.map((request) => this.#begin(request));
    let open = asked.filter(({ targets }) => targets !== null);
    while (open.length > 0) {
      const reading = performance.now();
      const vectors = await this.#deps.vectors.read(
        open.map(({ request: { event }, time, targets }) => ({ event, time, targets: targets ?? [] })),
      );
      const readMs = performance.now() - reading;
      const waited = clock.now() - started;
      for (const [i, one] of open.entries()) {
        one.vector = vectors[i] ?? NO_KEY;
        one.readMs = readMs;
        one.waitMs = Math.max(0, waited - readMs);
      }
      if (waited >= waitMs) break;
      open = open.filter(({ vector }) => mayComeFurther(vector));
      if (open.length > 0) await clock.sleep(Math.min(LOOK_EVERY_MS, waitMs - waited));
    }
    return this.#score(asked);
  }

  #begin(request: DirectRequest): Open {
    const { event, arrivedAt } = request;
    const time = cappedTime(event.time, arrivedAt);
    const targets = this.#deps.vectors.targets(event, time);
    return { request, time, targets, vector: NO_KEY, readMs: 0, waitMs: 0 };
  }

  #score(asked: readonly Open[]): Prediction[] {
    const { project, model, models } = this.#deps;
    const rolesAt = models.current();
    return asked.map(({ request, vector, readMs, waitMs }) => {
      const { event, arrivedAt, partition } = request;
      const scoring = performance.now();
      const draft = draftOf(model, {
        event,
        vector,
        sourceTopic: topics.asked(project.prefix, model.name),
        sourcePartition: partition,
        sourceOffset: NOT_YET,
        rawAppendTime: arrivedAt,
        waitMs,
      });
      const { champion } = rolesAt(event.time);
      const prediction = answerOf(draft, predictionId(event.id, model.name), vector, champion);
      return { ...prediction, readMs, scoreMs: performance.now() - scoring };
    });
  }
}

interface Open {
  readonly request: DirectRequest;
  readonly time: number;
  readonly targets: ReturnType<VectorReader['targets']>;
  vector: Vector;
  readMs: number;
  waitMs: number;
}

/** `behind` and a missing key stay what they are; a state may be rebuilt, and a frontier come to the head. */
const mayComeFurther = (vector: Vector) =>
  vector.status === 'refused'
    ? vector.reason === 'no_frontier' || vector.reason === 'torn'
    : vector.reads.some(({ asOf, head }) => asOf < head);
