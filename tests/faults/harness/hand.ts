import { setTimeout as sleep } from 'node:timers/promises';
import type { Platform } from '../../../platform/platform.ts';
import { keys, topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import { readMarks } from '../../../streams/archive/marks.ts';
import { archiveTables } from '../../../streams/archive/tables.ts';
import { wholeProgress } from '../../../streams/ingest/progress.ts';
import { wholeMeta } from '../../../streams/runtime/state.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { SOURCE } from './project.ts';
import type { StreamName, Streams } from './streams.ts';

/** Offsets of each partition of a stream's input: how far its topic goes, and how far the stream's own state says it came. */
interface Positions {
  /** Of what was appended up to a moment, epoch ms. */
  ends(until: number): Promise<readonly number[]>;
  committed(): Promise<readonly number[]>;
}

/** More than what comes while these questions are asked. */
const LAST_RECORDS = 2_000;

/** What each stream has to do, asked of its topics and of its state, not of the stream. */
export function positionsOf(project: Project, platform: Platform): Readonly<Record<StreamName, Positions>> {
  const { kafka, store, warehouse } = platform;
  const { prefix } = project;
  /** After the last record with a value, for each partition: a clock gives no state and no row. */
  const endsOf = async (topic: string, until: number) =>
    (await readTails(kafka, topic, LAST_RECORDS)).map(
      (tail) =>
        (tail.findLast(({ appendTime, value }) => value !== null && appendTime <= until)?.offset ?? -1) + 1,
    );
  const partitions = (count: number) => Array.from({ length: count }, (_, partition) => partition);
  const [source] = project.sources;
  const [model] = project.models;
  if (source === undefined || model === undefined) throw new Error('the project has a source and a model');
  const validated = topics.validated(prefix, SOURCE);
  /** Raw offsets of the last records of a topic, by partition. */
  const lastOf = async (
    topic: string,
    offsetOf: (value: Uint8Array) => number | null,
    until = Number.POSITIVE_INFINITY,
  ) =>
    (await readTails(kafka, topic, LAST_RECORDS)).map(
      (tail) =>
        tail
          .flatMap(({ appendTime, value }) =>
            value === null || appendTime > until ? [] : (offsetOf(value) ?? []),
          )
          .at(-1) ?? -1,
    );
  return {
    ingest: {
      ends: (until) => endsOf(topics.raw(prefix, SOURCE), until),
      committed: async () => {
        const found = await store.read(
          partitions(source.partitions).map((p) => [keys.ingestProgress(prefix, SOURCE, p)]),
        );
        return found.map(([bytes = null]) => wholeProgress(bytes)?.next ?? 0);
      },
    },
    features: {
      ends: async (until) =>
        (await Promise.all(project.views.map(({ id }) => endsOf(topics.view(prefix, id), until)))).flat(),
      committed: async () => {
        const found = await store.read(
          project.views.flatMap(({ id, partitions: count }) =>
            partitions(count).map((p) => [keys.meta(keys.viewPartition(prefix, id, p))]),
          ),
        );
        return found.map(([bytes = null]) => wholeMeta(bytes)?.next ?? 0);
      },
    },
    inference: {
      ends: async (until) => {
        const codec = (await platform.codecs()).validated(SOURCE);
        const requestOf = (value: Uint8Array) => {
          const { event, offset } = codec.decode(value);
          return event.type === model.request.eventType ? offset : null;
        };
        return lastOf(validated, requestOf, until);
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
      ends: (until) => endsOf(validated, until),
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

/** How many records of its input, appended up to a moment, a stream has not committed. */
export async function lagOf(
  { ends, committed }: Positions,
  until = Number.POSITIVE_INFINITY,
): Promise<number> {
  const want = await ends(until);
  const have = await committed();
  return want.reduce((sum, end, i) => sum + Math.max(0, end - (have[i] ?? 0)), 0);
}

const WITHIN_MS = 120_000;

/**
 * Stops a stream's process with work in hand and leaves it stopped: its input held records when it was stopped that its state does
 * not have. Where that is not so it goes on, and is stopped again a little later. Answers with how many.
 */
export async function stopInHand(streams: Streams, name: StreamName, positions: Positions): Promise<number> {
  for (const end = Date.now() + WITHIN_MS; Date.now() < end; ) {
    streams.pause(name);
    // A server that the question needs may be struck too: ask again.
    const lag = await lagOf(positions, Date.now()).catch(() => 0);
    if (lag > 0) return lag;
    streams.goOn(name);
    await sleep(50 + Math.random() * 100);
  }
  throw new Error(`${name} had no work in hand for ${WITHIN_MS / 1_000} s, so it could not be struck`);
}
