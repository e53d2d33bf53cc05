import { topics } from '../../schemas/names.ts';
import type { ModelVersion } from '../../schemas/records.ts';
import type { Kafka } from '../kafka/port.ts';

/** Bytes of a model record, both ways. */
export interface ModelCodec {
  encode(version: ModelVersion): Uint8Array;
  decode(bytes: Uint8Array): ModelVersion;
}

/** The registry of models: an append-only log on a compacted topic of one partition, where anyone can read it. */
export interface ModelRegistry {
  /** Every record still in the log, oldest first. */
  log(): Promise<readonly ModelVersion[]>;
  /** What each version of a model (or of all) was last said to be, by model and version. */
  list(model?: string): Promise<readonly ModelVersion[]>;
  /** Says it; resolves once the log holds it. Records of one call are written in their order. */
  append(versions: readonly ModelVersion[]): Promise<void>;
}

interface ModelRegistryDeps {
  readonly kafka: Kafka;
  readonly codec: ModelCodec;
  readonly prefix: string;
}

export function createModelRegistry({ kafka, codec, prefix }: ModelRegistryDeps): ModelRegistry {
  const topic = topics.models(prefix);

  async function log(): Promise<ModelVersion[]> {
    const admin = await kafka.admin();
    const [bounds] = await admin.offsets(topic).finally(() => admin.close());
    const { start, end } = bounds ?? { start: 0, end: 0 };
    const versions: ModelVersion[] = [];
    if (end <= start) return versions;
    const reader = await kafka.reader([{ topic, partition: 0, position: start }]);
    try {
      let next = start;
      // Compaction leaves gaps, the last record included only where it was never overwritten: it never is, being last.
      while (next < end)
        for (const { records } of await reader.poll(1_000))
          for (const { offset, value } of records) {
            next = Math.max(next, offset + 1);
            if (offset < end && value !== null) versions.push(codec.decode(value));
          }
    } finally {
      await reader.close();
    }
    return versions;
  }

  return {
    log,
    async list(model) {
      const latest = new Map<string, ModelVersion>();
      for (const version of await log())
        if (model === undefined || version.model === model) latest.set(keyOf(version), version);
      return [...latest.values()].sort((a, b) =>
        a.model === b.model ? a.version - b.version : a.model < b.model ? -1 : 1,
      );
    },
    async append(versions) {
      const producer = await kafka.producer();
      try {
        await producer.send(
          versions.map((version) => ({
            topic,
            partition: 0,
            key: Buffer.from(keyOf(version)),
            value: codec.encode(version),
          })),
        );
      } finally {
        await producer.close();
      }
    },
  };
}

/** The version that scores: of those last said to be champion, the newest. Null where there is none. */
export function championOf(versions: readonly ModelVersion[], model: string): ModelVersion | null {
  const champions = versions.filter((version) => version.model === model && version.state === 'champion');
  return champions.reduce<ModelVersion | null>(
    (best, version) => (best === null || version.version > best.version ? version : best),
    null,
  );
}

function keyOf({ model, version }: ModelVersion): string {
  return `${model}:${version}`;
}
