import type { Admin, Kafka, Reader } from '../../infrastructure/kafka/port.ts';
import { historyOf, stretchAt } from '../../infrastructure/registry/history.ts';
import { boundsOf } from '../../infrastructure/registry/models.ts';
import type { Clock } from '../../schemas/clock.ts';
import { topics } from '../../schemas/names.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { asError } from '../../schemas/refusal.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import { type LoadedStretch, loadTimeline, NO_MODELS, sameRoles } from './load-timeline.ts';
import type { Models, Roles } from './predict.ts';
import { ScorerCache } from './scorer-cache.ts';

interface FollowDeps {
  readonly prefix: string;
  readonly model: string;
  readonly kafka: Kafka;
  readonly codecs: Pick<Codecs, 'models'>;
  /** Bytes of an artefact, verified against its address. */
  readonly artefacts: { get(sha256: string): Promise<Uint8Array> };
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Follows the registry for one model. */
export interface ModelFollower extends Models {
  close(): Promise<void>;
}

const POLL_MS = 500;
/** Polls between two tries to fetch an artefact that was missing. */
const TRY_AGAIN_AFTER = 10;

/**
 * Reads the models topic from its start and follows it. A version whose artefact cannot be had or read is told of, once,
 * and passed over: the champion before it goes on scoring.
 */
export async function followModels(deps: FollowDeps): Promise<ModelFollower> {
  const topic = topics.models(deps.prefix);
  const { start, end } = await boundsOf(deps.kafka, topic);
  const reader = await deps.kafka.reader([{ topic, partition: 0, position: 'earliest' }]);
  const follower = new LogFollower(deps, topic, reader, start);
  await follower.readUntil(end);
  follower.follow();
  return {
    current: () => follower.current(),
    refresh: () => follower.refresh(),
    close: () => follower.close(),
  };
}

class LogFollower {
  readonly #deps: FollowDeps;
  readonly #reader: Reader;
  readonly #end: EndOfTopic;
  readonly #cache: ScorerCache;
  readonly #log: ModelVersion[] = [];
  #loaded: readonly LoadedStretch[] = NO_MODELS;
  #polls = 0;
  /** Offset up to which the log is read and its models are loaded. */
  #next: number;
  #stopped = false;
  #following: Promise<void> = Promise.resolve();
  /** Called after the next poll. */
  #waiting: Array<() => void> = [];

  constructor(deps: FollowDeps, topic: string, reader: Reader, start: number) {
    this.#deps = deps;
    this.#reader = reader;
    this.#end = new EndOfTopic(deps.kafka, topic);
    this.#cache = new ScorerCache(deps);
    this.#next = start;
  }

  current(): (eventTime: number) => Roles {
    const timeline = this.#loaded;
    const [only] = timeline;
    if (timeline.length === 1 && only !== undefined) return () => only;
    return (eventTime) => stretchAt(timeline, eventTime);
  }

  async refresh(): Promise<void> {
    const end = await this.#end.read();
    while (this.#next < end && !this.#stopped)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async readUntil(end: number): Promise<void> {
    while (this.#next < end) await this.#pollOnce();
  }

  follow(): void {
    this.#following = this.#pollUntilStopped();
  }

  async close(): Promise<void> {
    this.#stopped = true;
    for (const go of this.#waiting) go();
    await this.#reader.close();
    await this.#following;
    await this.#end.close();
  }

  async #pollUntilStopped(): Promise<void> {
    const { clock, model, telemetry } = this.#deps;
    while (!this.#stopped)
      await this.#pollOnce().catch(async (error: unknown) => {
        if (this.#stopped) return;
        telemetry.failure(`inference ${model}`, asError(error));
        await clock.sleep(POLL_MS);
      });
  }

  async #pollOnce(): Promise<void> {
    const { codecs, model } = this.#deps;
    const known = this.#log.length;
    let reached = this.#next;
    for (const { records } of await this.#reader.poll(POLL_MS))
      for (const { offset, value } of records) {
        reached = offset + 1;
        const version = value === null ? null : codecs.models.read(value);
        if (version !== null && version.model === model) this.#log.push(version);
      }
    this.#polls += 1;
    if (this.#log.length > known || (this.#cache.mayTryAgain && this.#polls % TRY_AGAIN_AFTER === 0))
      await this.#load();
    this.#next = Math.max(this.#next, reached);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  async #load(): Promise<void> {
    const { model, telemetry } = this.#deps;
    const before = this.#loaded.at(-1);
    this.#loaded = await loadTimeline(historyOf(model, this.#log), this.#cache);
    const now = this.#loaded.at(-1);
    if (now === undefined || sameRoles(before, now)) return;
    const { champion, shadows, from } = now;
    telemetry.note(`inference ${model}`, 'models', {
      champion: champion?.version ?? 0,
      ...(shadows.length === 0 ? {} : { shadows: shadows.map(({ version }) => version).join(' ') }),
      ...(Number.isFinite(from) ? { from: new Date(from).toISOString() } : {}),
    });
  }
}

/** Asks the broker where a topic of one partition ends, over one connection that is opened anew after a failure. */
class EndOfTopic {
  readonly #kafka: Pick<Kafka, 'admin'>;
  readonly #topic: string;
  #admin: Promise<Admin> | null = null;

  constructor(kafka: Pick<Kafka, 'admin'>, topic: string) {
    this.#kafka = kafka;
    this.#topic = topic;
  }

  async read(): Promise<number> {
    this.#admin ??= this.#kafka.admin();
    try {
      const [bounds] = await (await this.#admin).offsets(this.#topic);
      return bounds?.end ?? 0;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const admin = await this.#admin?.catch(() => null);
    this.#admin = null;
    await admin?.close().catch(() => {});
  }
}
