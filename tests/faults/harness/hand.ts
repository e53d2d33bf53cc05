import { setTimeout as sleep } from 'node:timers/promises';
import type { Platform } from '../../../platform/platform.ts';
import { decodeMeta } from '../../../processors/meta.ts';
import { keys, topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import { readMarks } from '../../../streams/archive/marks.ts';
import { archiveTables } from '../../../streams/archive/tables.ts';
import { decodeProgress, isLost } from '../../../streams/ingest/progress.ts';
import { isTorn } from '../../../streams/runtime/state.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { boundsOf } from '../../../streams/runtime/topic.ts';
import { SOURCE } from './project.ts';
import type { StreamName, Streams } from './streams.ts';

/** Next offset of each partition of a stream's input: as its topic has it, and as the stream's own state says. */
interface Positions {
  ends(): Promise<readonly number[]>;
  committed(): Promise<readonly number[]>;
}

const LAST_RECORDS = 200;

/** What each stream has to do, asked of its topics and of its state, not of the stream. */
export function positionsOf(project: Project, platform: Platform): Readonly<Record<StreamName, Positions>> {
  const { kafka, store, warehouse } = platform;
  const { prefix } = project;
  const endsOf = async (topic: string) => (await boundsOf(kafka, topic)).map(({ end }) => end);
  const partitions = (count: number) => Array.from({ length: count }, (_, partition) => partition);
  const [source] = project.sources;
  const [model] = project.models;
  if (source === undefined || model === undefined) throw new Error('the project has a source and a model');
  const validated = topics.validated(prefix, SOURCE);
  /** Raw offsets of the last records of a topic, by partition. */
  const lastOf = async (topic: string, offsetOf: (value: Uint8Array) => number | null) =>
    (await readTails(kafka, topic, LAST_RECORDS)).map(
      (tail) => tail.flatMap(({ value }) => (value === null ? [] : (offsetOf(value) ?? []))).at(-1) ?? -1,
    );
  return {
    ingest: {
      ends: () => endsOf(topics.raw(prefix, SOURCE)),
      committed: async () => {
        const found = await store.read(
          partitions(source.partitions).map((p) => [keys.ingestProgress(prefix, SOURCE, p)]),
        );
        return found.map(([bytes = null]) => (isLost(bytes) ? 0 : decodeProgress(bytes).next));
      },
    },
    features: {
      ends: async () =>
        (await Promise.all(project.views.map(({ id }) => endsOf(topics.view(prefix, id))))).flat(),
      committed: async () => {
        const found = await store.read(
          project.views.flatMap(({ id, partitions: count }) =>
            partitions(count).map((p) => [keys.meta(keys.viewPartition(prefix, id, p))]),
          ),
        );
        return found.map(([bytes = null]) => (bytes === null || isTorn(bytes) ? 0 : decodeMeta(bytes).next));
      },
    },
    inference: {
      ends: async () => {
        const codec = (await platform.codecs()).validated(SOURCE);
        return lastOf(validated, (value) => {
          const { event, offset } = codec.decode(value);
          return event.type === model.request.eventType ? offset : null;
        });
      },
      committed: async () => {
        const { predictions } = await platform.codecs();
        return lastOf(
          topics.predictions(prefix, model.name),
          (value) => predictions.decode(value).sourceOffset,
        );
      },
    },
    archive: {
      // A clock at the end of a replay is no row.
      ends: async () =>
        (await readTails(kafka, validated, LAST_RECORDS)).map(
          (tail) => (tail.findLast(({ value }) => value !== null)?.offset ?? -1) + 1,
        ),
      committed: async () => {
        const table = archiveTables(project, await platform.codecs()).find(
          ({ topic }) => topic === validated,
        );
        if (table === undefined) throw new Error('validated events are archived');
        const marks = await readMarks(warehouse, table);
        return partitions(source.partitions).map((p) => (marks.get(p)?.archived ?? -1) + 1);
      },
    },
  };
}

/** How many records of its input a stream has not committed. */
export async function lagOf({ ends, committed }: Positions): Promise<number> {
  const want = await ends();
  const have = await committed();
  return want.reduce((sum, end, i) => sum + Math.max(0, end - (have[i] ?? 0)), 0);
}

const WITHIN_MS = 120_000;

/**
 * Stops a stream's process with work in hand and leaves it stopped: its input held records before the stop that its state does not
 * have afterwards. Where that is not so it goes on, and is stopped again a little later. Answers with how many.
 */
export async function stopInHand(streams: Streams, name: StreamName, positions: Positions): Promise<number> {
  for (const end = Date.now() + WITHIN_MS; Date.now() < end; ) {
    let lag = 0;
    try {
      lag = await lagOf({ ...positions, ends: () => stopAfter(positions.ends(), streams, name) });
    } catch {
      // A server that the question needs was struck too: ask again.
    }
    if (lag > 0) return lag;
    streams.goOn(name);
    await sleep(25 + Math.random() * 50);
  }
  throw new Error(`${name} had no work in hand for ${WITHIN_MS / 1_000} s, so it could not be struck`);
}

async function stopAfter<T>(asked: Promise<T>, streams: Streams, name: StreamName): Promise<T> {
  const answer = await asked;
  streams.pause(name);
  return answer;
}
