import type { Admin, Kafka, Reader } from '../../infrastructure/kafka/port.ts';
import {
  historyOf,
  type ModelHistory,
  stretchAt,
  timelineOf,
} from '../../infrastructure/registry/history.ts';
import { boundsOf } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import type { Clock } from '../../schemas/clock.ts';
import { topics } from '../../schemas/names.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Codecs } from '../runtime/codecs.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { Models, Roles, ScoringModel } from './predict.ts';

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

/** A stretch of the timeline with its models loaded. */
interface LoadedStretch extends Roles {
  readonly from: number;
}

const NOBODY: readonly LoadedStretch[] = [{ from: Number.NEGATIVE_INFINITY, champion: null, shadows: [] }];

/**
 * Reads the models topic from its start and follows it. A version whose artefact cannot be had or read is told of, once,
 * and passed over: the champion before it goes on scoring.
 */
export async function followModels(deps: FollowDeps): Promise<ModelFollower> {
  const { prefix, model, kafka, codecs, telemetry } = deps;
  const topic = topics.models(prefix);
  const name = `inference ${model}`;
  const shelf = createShelf(deps);
  const log: ModelVersion[] = [];
  let loaded: readonly LoadedStretch[] = NOBODY;
  let polls = 0;
  let next = 0;
  let stopped = false;
  let waiting: Array<() => void> = [];

  async function take(reader: Reader): Promise<void> {
    const known = log.length;
    let reached = next;
    for (const { records } of await reader.poll(POLL_MS))
      for (const { offset, value } of records) {
        reached = offset + 1;
        const version = value === null ? null : codecs.models.decode(value);
        if (version !== null && version.model === model) log.push(version);
      }
    polls += 1;
    if (log.length > known || (shelf.lacks() && polls % TRY_AGAIN_AFTER === 0))
      await load(historyOf(model, log));
    next = Math.max(next, reached);
    const go = waiting;
    waiting = [];
    for (const one of go) one();
  }

  async function load(history: ModelHistory): Promise<void> {
    shelf.forgive();
    let timeline = timelineOf(history);
    // Where one is passed over, the one before it is wanted after all.
    for (let missing = true; missing; ) {
      timeline = timelineOf(history, (version) => !shelf.failed(version));
      const wanted = new Set(timeline.flatMap(({ champion, shadows }) => [...shadows, champion ?? 0]));
      const lacking = history.versions.filter(
        ({ version }) => wanted.has(version) && shelf.get(version) === null,
      );
      for (const version of lacking) await shelf.take(version);
      missing = lacking.length > 0;
      if (!missing) shelf.keep(wanted);
    }
    const before = loaded.at(-1);
    loaded = timeline.map(({ from, champion, shadows }) => ({
      from,
      champion: champion === null ? null : shelf.get(champion),
      shadows: shadows.flatMap((version) => shelf.get(version) ?? []),
    }));
    const now = loaded.at(-1);
    if (now === undefined || same(before, now)) return;
    const { champion, shadows, from } = now;
    telemetry.note(name, 'models', {
      champion: champion?.version ?? 0,
      ...(shadows.length === 0 ? {} : { shadows: shadows.map(({ version }) => version).join(' ') }),
      ...(Number.isFinite(from) ? { from: new Date(from).toISOString() } : {}),
    });
  }

  const { start, end } = await boundsOf(kafka, topic);
  const reader = await kafka.reader([{ topic, partition: 0, position: 'earliest' }]);
  next = start;
  while (next < end) await take(reader);

  const following = (async () => {
    while (!stopped)
      await take(reader).catch(async (error: unknown) => {
        if (stopped) return;
        telemetry.failure(name, error instanceof Error ? error : new Error(String(error)));
        await deps.clock.sleep(POLL_MS);
      });
  })();

  let asking: Promise<Admin> | null = null;
  async function endOfLog(): Promise<number> {
    asking ??= kafka.admin();
    try {
      const [now] = await (await asking).offsets(topic);
      return now?.end ?? 0;
    } catch (error) {
      const admin = await asking.catch(() => null);
      asking = null;
      await admin?.close().catch(() => {});
      throw error;
    }
  }

  return {
    current() {
      const timeline = loaded;
      const [only] = timeline;
      if (timeline.length === 1 && only !== undefined) return () => only;
      return (eventTime) => stretchAt(timeline, eventTime);
    },
    async refresh() {
      const end = await endOfLog();
      while (next < end && !stopped) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    async close() {
      stopped = true;
      for (const one of waiting) one();
      await reader.close();
      await following;
      await (await asking?.catch(() => null))?.close().catch(() => {});
    },
  };
}

function same(a: LoadedStretch | undefined, b: LoadedStretch): boolean {
  const text = ({ champion, shadows }: LoadedStretch) =>
    [champion, ...shadows].map((one) => one?.version ?? 0).join(' ');
  return a !== undefined && text(a) === text(b);
}

/** Scorers by version. What could not be loaded is remembered, so that it is told once. */
function createShelf({ artefacts, telemetry, model }: FollowDeps) {
  const scorers = new Map<number, ScoringModel>();
  const failures = new Map<number, { retriable: boolean; told: boolean; holds: boolean }>();
  return {
    get: (version: number) => scorers.get(version) ?? null,
    failed: (version: number) => failures.get(version)?.holds === true,
    /** Something that may come yet. */
    lacks: () => [...failures.values()].some(({ retriable, holds }) => retriable && holds),
    /** Lets what may have come be tried again. */
    forgive() {
      for (const failure of failures.values()) if (failure.retriable) failure.holds = false;
    },
    keep(versions: ReadonlySet<number>) {
      for (const version of scorers.keys()) if (!versions.has(version)) scorers.delete(version);
    },
    async take({
      version,
      artefact,
    }: {
      readonly version: number;
      readonly artefact: string;
    }): Promise<void> {
      try {
        const scorer = createScorer(parseArtefact(await artefacts.get(artefact), artefact));
        scorers.set(version, {
          version,
          artefact,
          layoutHash: scorer.layoutHash,
          threshold: scorer.threshold,
          score: (vector) => scorer.score(vector),
        });
        failures.delete(version);
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        const told = failures.get(version)?.told === true;
        if (!told) telemetry.failure(`inference ${model}`, passedOver(model, version, error));
        const retriable = error instanceof MillraceError && error.retriable;
        failures.set(version, { retriable, told: true, holds: true });
      }
    },
  };
}

/** A version that the registry names and that cannot score. */
export class UnusableVersion extends MillraceError {
  readonly code = 'unusable_version';
  readonly retriable = false;
}

const passedOver = (model: string, version: number, cause: Error) =>
  new UnusableVersion(`Version ${version} of ${model} is passed over: ${cause.message}`, { cause });
