import { randomUUID } from 'node:crypto';
import { topics } from '../../schemas/names.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { TRANSITIONS } from '../../schemas/rollout.ts';
import type { Kafka } from '../kafka/port.ts';
import { askAgain } from '../kafka/retry.ts';
import { historiesOf, historyOf, type ModelHistory, type VersionState } from './history.ts';

/** Bytes of a model record, both ways. */
export interface ModelCodec {
  encode(version: ModelVersion): Uint8Array;
  /** Null where the record is none of ours. */
  read(bytes: Uint8Array): ModelVersion | null;
}

/** A change as its author decides it; the registry numbers and stamps it. */
export type Change = Omit<ModelVersion, 'format' | 'model' | 'change' | 'id' | 'after' | 'at'>;

/** The registry of models: an append-only log on a compacted topic of one partition, where anyone can read it. */
export interface ModelRegistry {
  /** Every record, oldest first, those that do not count among them. */
  log(): Promise<readonly ModelVersion[]>;
  history(model: string): Promise<ModelHistory>;
  histories(): Promise<readonly ModelHistory[]>;
  /** What each version of a model (or of all) is now, by model and version. */
  list(model?: string): Promise<readonly VersionState[]>;
  /**
   * Reads the history, asks `decide` what follows from it, appends that, and reads back whether it counts. All changes of
   * one call count, or none; an empty list appends nothing. What `decide` throws comes through.
   *
   * @throws Superseded where another writer appended first: look again, and decide anew where it still holds.
   */
  append(model: string, decide: (history: ModelHistory) => readonly Change[]): Promise<Appended>;
}

export interface Appended {
  /** As the log has them. */
  readonly changes: readonly ModelVersion[];
  /** With them. */
  readonly history: ModelHistory;
}

/** Another writer changed the model while this one decided. */
export class Superseded extends MillraceError {
  readonly code = 'superseded';
  readonly retriable = true;
  /** What the other writer appended. */
  readonly by: ModelVersion;

  constructor(by: ModelVersion) {
    super(
      `Nothing was changed: while this was decided, ${by.by} made version ${by.version} of ${by.model} ${by.state} (change ${by.change}: ${by.reason}). Look again, and repeat it where it still holds.`,
    );
    this.by = by;
  }
}

/** A change that the states do not allow. */
export class BadTransition extends MillraceError {
  readonly code = 'bad_transition';
  readonly retriable = false;
}

interface ModelRegistryDeps {
  readonly kafka: Kafka;
  readonly codec: ModelCodec;
  readonly prefix: string;
  /** Wall time, epoch ms. */
  readonly now?: () => number;
}

export function createModelRegistry(deps: ModelRegistryDeps): ModelRegistry {
  const { kafka, codec, prefix, now = Date.now } = deps;
  const topic = topics.models(prefix);

  async function log(): Promise<ModelVersion[]> {
    const { start, end } = await boundsOf(kafka, topic);
    const versions: ModelVersion[] = [];
    if (end <= start) return versions;
    const reader = await kafka.reader([{ topic, partition: 0, position: start }]);
    try {
      for (let next = start; next < end; )
        for (const { records } of await reader.poll(1_000))
          for (const { offset, value } of records) {
            next = Math.max(next, offset + 1);
            const version = offset < end && value !== null ? codec.read(value) : null;
            if (version !== null) versions.push(version);
          }
    } finally {
      await reader.close();
    }
    return versions;
  }

  async function send(records: readonly ModelVersion[]): Promise<void> {
    const producer = await kafka.producer();
    try {
      await producer.send(
        records.map((record) => ({
          topic,
          partition: 0,
          key: Buffer.from(`${record.model}:${record.change}:${record.id}`),
          value: codec.encode(record),
        })),
      );
    } finally {
      await producer.close();
    }
  }

  const history = async (model: string) => historyOf(model, await log());

  return {
    log,
    history,
    async histories() {
      return historiesOf(await log());
    },
    async list(model) {
      const all = await log();
      const histories = model === undefined ? historiesOf(all) : [historyOf(model, all)];
      return histories.flatMap(({ versions }) => versions);
    },
    async append(model, decide) {
      const before = await history(model);
      const changes = decide(before);
      if (changes.length === 0) return { changes: [], history: before };
      const records: ModelVersion[] = [];
      let after = before.changes.at(-1)?.id ?? '';
      for (const change of changes) {
        const number = before.changes.length + records.length + 1;
        const record = { ...change, format: 1, model, change: number, id: randomUUID(), after, at: now() };
        checkTransition(historyOf(model, [...before.changes, ...records]), record);
        records.push(record);
        after = record.id;
      }
      // A send that failed may have arrived all the same: the log knows.
      const failure = await send(records).catch((error: unknown) => error);
      const then = await history(model);
      if (failure !== undefined && then.changes.length === before.changes.length) throw failure;
      const first = then.changes[before.changes.length];
      if (first === undefined) throw new Error(`The log of ${topic} lost what was appended to it.`);
      if (first.id !== records[0]?.id) throw new Superseded(first);
      return { changes: records, history: then };
    },
  };
}

/** First offset of a topic of one partition, and the one after its last. */
export async function boundsOf(kafka: Kafka, topic: string): Promise<{ start: number; end: number }> {
  return askAgain(async () => {
    const admin = await kafka.admin();
    const [bounds] = await admin.offsets(topic).finally(() => admin.close());
    return bounds ?? { start: 0, end: 0 };
  });
}

/** @throws BadTransition */
function checkTransition(history: ModelHistory, { version, state, former }: ModelVersion): void {
  const { model, champion } = history;
  const now = history.versions.find((one) => one.version === version);
  const from = now?.state ?? 'new';
  const allowed: readonly string[] = TRANSITIONS[from];
  if (!allowed.includes(state))
    throw new BadTransition(
      `Version ${version} of ${model} is ${from} and cannot become ${state}${allowed.length === 0 ? '' : `, only ${allowed.join(' or ')}`}.`,
    );
  if (from === 'champion')
    throw new BadTransition(
      `Version ${version} of ${model} is the champion: it goes when another takes over (millrace models promote or rollback), so that there is never none.`,
    );
  if (from === 'new' && version !== (history.versions.at(-1)?.version ?? 0) + 1)
    throw new BadTransition(
      `The next version of ${model} is ${(history.versions.at(-1)?.version ?? 0) + 1}, not ${version}.`,
    );
  if (state === 'champion' && (champion === null) !== (former === null))
    throw new BadTransition(
      `A promotion of ${model} says what the champion before becomes${champion === null ? ', and there is none' : ''}.`,
    );
}
