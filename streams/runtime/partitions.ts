import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { keys, rawTopic, topics } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';

/** One partition of a view, as a reader names it. */
export interface ViewPartition {
  readonly view: View;
  readonly partition: number;
  /** Prefix of its keys in the online store. */
  readonly key: string;
}

export function viewPartitions(prefix: string, view: View): ViewPartition[] {
  return Array.from({ length: view.partitions }, (_, partition) => ({
    view,
    partition,
    key: keys.viewPartition(prefix, view.id, partition),
  }));
}

/** The topics that have the partitions of a source's raw topic, one to one. */
export function topicsOfSource(
  { models, prefix }: Project,
  source: Pick<Source, 'name' | 'topic'>,
): string[] {
  const { name } = source;
  return [
    rawTopic(prefix, source),
    topics.validated(prefix, name),
    topics.deadLetters(prefix, name),
    ...models
      .filter(({ request }) => request.source === name)
      .flatMap(({ name }) =>
        [topics.predictions, topics.shadow, topics.asked].map((topic) => topic(prefix, name)),
      ),
  ];
}

/**
 * The project with as many partitions of each source as all topics that go with it have: a raw topic may have got more than was declared.
 * The partitions of views stay as they are declared. Throws KafkaError.
 */
export async function withPartitions(project: Project, kafka: Pick<Kafka, 'admin'>): Promise<Project> {
  const names = project.sources.map((source) => topicsOfSource(project, source));
  const admin = await kafka.admin();
  try {
    const facts = new Map((await admin.facts(names.flat())).map((one) => [one.topic, one.partitions]));
    const sources = project.sources.map((source, i) => {
      const common = Math.min(...(names[i] ?? []).map((name) => facts.get(name) ?? 0));
      return common > source.partitions ? { ...source, partitions: common } : source;
    });
    return sources.every((source, i) => source === project.sources[i]) ? project : { ...project, sources };
  } finally {
    await admin.close();
  }
}
