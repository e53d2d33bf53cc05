import { isForeign, rawTopic, topics } from '../schemas/names.ts';
import type { Model, Source } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';
import type { Place } from './document.ts';
import { inside, type Reporter } from './reporter.ts';

/** A source, and where it is declared. */
export interface PlacedSource {
  readonly source: Source;
  readonly place: Place;
}

/** Of a topic, characters. */
const LONGEST_NAME = 249;

/** Every topic that Millrace itself writes for a project, and makes for it. */
function writtenTopics(
  prefix: string,
  sources: readonly Source[],
  views: readonly View[],
  models: readonly Model[],
): Set<string> {
  return new Set([
    ...sources.flatMap(({ name }) => [topics.validated(prefix, name), topics.deadLetters(prefix, name)]),
    ...views.map(({ id }) => topics.view(prefix, id)),
    ...models.flatMap(({ name }) =>
      [topics.predictions, topics.shadow, topics.asked].map((topic) => topic(prefix, name)),
    ),
    topics.models(prefix),
    topics.alerts(prefix),
    topics.definitions(prefix),
  ]);
}

/**
 * Reports topics that a source may not be read from: one that another source reads, since progress, sections and audit know a source by
 * its topic, and each of the two would refuse what is meant for the other; and one that Millrace writes itself.
 */
export function checkRawTopics(
  placed: readonly PlacedSource[],
  project: {
    readonly place: Place;
    readonly prefix: string;
    readonly views: readonly View[];
    readonly models: readonly Model[];
  },
  reporter: Reporter,
): void {
  const { prefix, views, models } = project;
  const sources = placed.map(({ source }) => source);
  const written = writtenTopics(prefix, sources, views, models);
  const made = sources
    .filter((source) => !isForeign(prefix, source))
    .map((source) => rawTopic(prefix, source));
  const [longest = ''] = [...written, ...made].sort((a, b) => b.length - a.length);
  if (longest.length > LONGEST_NAME)
    reporter.report(
      project.place,
      `The topic '${longest.slice(0, 40)}...' would have a name of ${longest.length} characters; Kafka takes ${LONGEST_NAME}.`,
      'Shorten the prefix, or the name of the source, view or model.',
    );
  for (const [i, { source, place }] of placed.entries()) {
    if (source.topic === undefined) continue;
    const at = inside(place, 'topic');
    if (written.has(source.topic))
      reporter.report(
        at,
        `Millrace itself writes the topic '${source.topic}'.`,
        'Name the topic that the producers write to.',
      );
    const other = sources.find(
      (one, k) =>
        one !== source &&
        rawTopic(prefix, one) === source.topic &&
        // Of two that name it the later one is told.
        (k < i || one.topic === undefined),
    );
    if (other !== undefined)
      reporter.report(
        at,
        `The source '${other.name}' reads the topic '${source.topic}' already, and each record belongs to one source.`,
        `Declare the events of both in '${other.name}', or write them to topics of their own.`,
      );
  }
}
