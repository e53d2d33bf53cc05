import type { Kafka, Reader } from '../infrastructure/kafka/port.ts';
import { championOf } from '../infrastructure/registry/models.ts';
import { parseArtefact } from '../models/artefact.ts';
import { createScorer } from '../models/scorer.ts';
import { topics } from '../schemas/names.ts';
import type { ModelVersion } from '../schemas/records.ts';
import type { Codecs } from './codecs.ts';
import type { Champion } from './inference.ts';
import type { Telemetry } from './telemetry.ts';

interface ChampionDeps {
  readonly prefix: string;
  readonly model: string;
  readonly kafka: Kafka;
  readonly codecs: Codecs;
  /** Bytes of an artefact, verified against its address. */
  readonly artefacts: { get(sha256: string): Promise<Uint8Array> };
  readonly telemetry: Telemetry;
}

/** Follows the registry for one model: what inference asks for between two batches. */
export interface ChampionFollower {
  current(): Champion | null;
  close(): Promise<void>;
}

const POLL_MS = 500;

/**
 * Reads the models topic from its start and follows it. A version whose artefact cannot be had or read is
 * told of and passed over: the champion before it goes on scoring.
 */
export async function followChampion(deps: ChampionDeps): Promise<ChampionFollower> {
  const { prefix, model, kafka, codecs, artefacts, telemetry } = deps;
  const topic = topics.models(prefix);
  const latest = new Map<number, ModelVersion>();
  let champion: Champion | null = null;
  let stopped = false;

  async function take(reader: Reader, waitMs: number): Promise<number> {
    let next = -1;
    for (const { records } of await reader.poll(waitMs))
      for (const { offset, value } of records) {
        next = offset + 1;
        const version = value === null ? null : codecs.models.decode(value);
        if (version !== null && version.model === model) latest.set(version.version, version);
      }
    const chosen = championOf([...latest.values()], model);
    if (chosen !== null && (champion === null || chosen.version !== champion.version))
      champion = (await load(chosen)) ?? champion;
    return next;
  }

  async function load(version: ModelVersion): Promise<Champion | null> {
    try {
      const artefact = parseArtefact(await artefacts.get(version.artefact), version.artefact);
      const scorer = createScorer(artefact);
      telemetry.note(`inference ${model}`, 'champion', {
        version: version.version,
        artefact: version.artefact,
      });
      return {
        version: version.version,
        artefact: version.artefact,
        layoutHash: scorer.layoutHash,
        threshold: scorer.threshold,
        score: (vector) => scorer.score(vector),
      };
    } catch (error) {
      telemetry.failure(`inference ${model}`, error instanceof Error ? error : new Error(String(error)));
      return null;
    }
  }

  const admin = await kafka.admin();
  const [bounds] = await admin.offsets(topic).finally(() => admin.close());
  const end = bounds?.end ?? 0;
  const reader = await kafka.reader([{ topic, partition: 0, position: 'earliest' }]);
  for (let next = bounds?.start ?? 0; next < end; ) next = Math.max(next, await take(reader, POLL_MS));

  const following = (async () => {
    while (!stopped)
      await take(reader, POLL_MS).catch((error: unknown) => {
        if (!stopped)
          telemetry.failure(`inference ${model}`, error instanceof Error ? error : new Error(String(error)));
      });
  })();

  return {
    current: () => champion,
    async close() {
      stopped = true;
      await reader.close();
      await following;
    },
  };
}
