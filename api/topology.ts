import { z } from 'zod';
import type { Admin } from '../infrastructure/kafka/port.ts';
import { groups, rawTopic, topics } from '../schemas/names.ts';
import type { Project } from '../schemas/project.ts';
import type { ApiDeps } from './deps.ts';

export const topologySchema = z.object({
  at: z.number().describe('When it was looked at, wall clock, epoch ms.'),
  topics: z.array(
    z.object({
      topic: z.string(),
      kind: z.enum([
        'raw',
        'validated',
        'dead_letters',
        'view',
        'predictions',
        'shadow',
        'asked',
        'alerts',
        'models',
      ]),
      of: z.string().describe('Source, view or model; empty for the project.'),
      partitions: z.number().int(),
      records: z.number().describe('That it holds now.'),
      perSecond: z
        .number()
        .nullable()
        .describe('Records that came since the look before; null at the first.'),
    }),
  ),
  streams: z.array(
    z.object({
      stream: z.string(),
      of: z.string().describe('The model of an inference stream; else empty.'),
      reads: z.array(
        z.object({
          topic: z.string(),
          lag: z
            .number()
            .nullable()
            .describe('Records that its group has not come to; null where it never reported.'),
        }),
      ),
      writes: z.array(z.string()),
    }),
  ),
});

export type Topology = z.output<typeof topologySchema>;

type Kind = Topology['topics'][number]['kind'];

interface Named {
  readonly topic: string;
  readonly kind: Kind;
  readonly of: string;
}

interface StreamOf {
  readonly stream: string;
  readonly of: string;
  readonly group: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

function topicsOf({ prefix, sources, views, models }: Project): Named[] {
  const named = (topic: string, kind: Kind, of: string): Named => ({ topic, kind, of });
  return [
    ...sources.flatMap((source) => [
      named(rawTopic(prefix, source), 'raw', source.name),
      named(topics.validated(prefix, source.name), 'validated', source.name),
      named(topics.deadLetters(prefix, source.name), 'dead_letters', source.name),
    ]),
    ...views.map(({ name, id }) => named(topics.view(prefix, id), 'view', name)),
    ...models.flatMap(({ name }) => [
      named(topics.predictions(prefix, name), 'predictions', name),
      named(topics.shadow(prefix, name), 'shadow', name),
      named(topics.asked(prefix, name), 'asked', name),
    ]),
    named(topics.alerts(prefix), 'alerts', ''),
    named(topics.models(prefix), 'models', ''),
  ];
}

function streamsOf(project: Project, named: readonly Named[]): StreamOf[] {
  const { prefix, models } = project;
  const of = (...kinds: readonly Kind[]) =>
    named.filter(({ kind }) => kinds.includes(kind)).map(({ topic }) => topic);
  return [
    {
      stream: 'ingest',
      of: '',
      group: groups.ingest(prefix),
      reads: of('raw'),
      writes: of('validated', 'view', 'dead_letters'),
    },
    {
      stream: 'features',
      of: '',
      group: groups.features(prefix),
      reads: of('view'),
      writes: of('dead_letters'),
    },
    ...models.map(({ name, request }) => ({
      stream: 'inference',
      of: name,
      group: groups.inference(prefix, name),
      reads: [topics.validated(prefix, request.source)],
      writes: [topics.predictions(prefix, name), topics.shadow(prefix, name)],
    })),
    {
      stream: 'archive',
      of: '',
      group: groups.archive(prefix),
      reads: of('validated', 'dead_letters', 'predictions', 'shadow', 'asked', 'alerts'),
      writes: [],
    },
    { stream: 'delivery', of: '', group: groups.delivery(prefix), reads: of('alerts'), writes: [] },
  ];
}

interface Look {
  readonly at: number;
  readonly ends: ReadonlyMap<string, number>;
  readonly topology: Topology;
}

/** Looks closer together than this are one, ms. */
const FRESH_MS = 1_000;

/** Looks at what flows. However many ask, Kafka is asked once a second. */
export function createTopology({
  project,
  kafka,
  clock,
}: Pick<ApiDeps, 'project' | 'kafka' | 'clock'>): () => Promise<Topology> {
  const named = topicsOf(project);
  const streams = streamsOf(project, named);
  let last: Look | null = null;
  let looking: Promise<Look> | null = null;

  async function look(before: Look | null): Promise<Look> {
    const admin = await kafka.admin();
    try {
      const at = clock.now();
      const known = new Map(
        await Promise.all(named.map(async ({ topic }) => [topic, await admin.offsets(topic)] as const)),
      );
      const ends = new Map(
        [...known].map(([topic, bounds]) => [topic, bounds.reduce((sum, { end }) => sum + end, 0)]),
      );
      const seconds = before === null ? 0 : (at - before.at) / 1_000;
      return {
        at,
        ends,
        topology: {
          at,
          topics: named.map((one) => {
            const bounds = known.get(one.topic) ?? [];
            const came = (ends.get(one.topic) ?? 0) - (before?.ends.get(one.topic) ?? 0);
            return {
              ...one,
              partitions: bounds.length,
              records: bounds.reduce((sum, { start, end }) => sum + end - start, 0),
              perSecond: seconds > 0 ? Math.round((Math.max(0, came) / seconds) * 100) / 100 : null,
            };
          }),
          streams: await Promise.all(
            streams.map(async ({ stream, of, group, reads, writes }) => ({
              stream,
              of,
              reads: await Promise.all(
                reads.map(async (topic) => ({
                  topic,
                  lag: await lagOf(admin, group, topic, known.get(topic) ?? []),
                })),
              ),
              writes: [...writes],
            })),
          ),
        },
      };
    } finally {
      await admin.close();
    }
  }

  return async () => {
    if (last !== null && clock.now() - last.at < FRESH_MS) return last.topology;
    looking ??= look(last).finally(() => {
      looking = null;
    });
    last = await looking;
    return last.topology;
  };
}

async function lagOf(
  admin: Admin,
  group: string,
  topic: string,
  bounds: ReadonlyArray<{ readonly start: number; readonly end: number }>,
): Promise<number | null> {
  const committed = await admin.committed(group, topic);
  if (committed.every((one) => one === null)) return null;
  return bounds.reduce(
    (sum, { start, end }, partition) =>
      sum + Math.max(0, end - Math.max(start, committed[partition] ?? start)),
    0,
  );
}
