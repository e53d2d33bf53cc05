import type { Admin } from '../../infrastructure/kafka/port.ts';
import { isForeign, rawTopic } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';
import type { Change } from './change.ts';
import { stampCommand } from './timestamps.ts';

/** The sources that read topics of a team's own, by topic. `apply` neither makes nor changes these. */
export function foreignSources({ prefix, sources }: Project): ReadonlyMap<string, Source> {
  return new Map(
    sources
      .filter((source) => isForeign(prefix, source))
      .map((source) => [rawTopic(prefix, source), source] as const),
  );
}

const ARRIVAL =
  'It keeps its producers’ times (message.timestamp.type CreateTime), and is left as it is: an event arrives when its producer says, so one fast clock makes later events late, and live latency is counted from there. To let the broker stamp what comes: ';

/** What there is to say of a team's own topic that a source reads; `found`: its partitions, undefined where it is not there. */
export async function planForeign(
  project: Project,
  [name, source]: readonly [topic: string, source: Source],
  found: number | undefined,
  admin: Pick<Admin, 'timestampTypes' | 'compacted'>,
): Promise<Change> {
  const change = (action: Change['action'], detail: string): Change => ({
    kind: 'topic',
    name,
    action,
    detail,
  });
  if (found === undefined)
    return change(
      'conflict',
      `The source '${source.name}' reads it (\`topic:\`), and it is not there. Make it with the tools of its owner, correct the name, or leave \`topic:\` out: then the source has a topic that 'millrace apply' makes.`,
    );
  if (found < source.partitions)
    return change(
      'conflict',
      `It has ${found} partitions and the source '${source.name}' declares ${source.partitions}. It is not changed; say \`partitions: ${found}\`.`,
    );
  const [compacted] = await admin.compacted([name]);
  if (compacted === true)
    return change(
      'foreign',
      'It is compacted (cleanup.policy), and is left as it is: Kafka removes an event as soon as another of its key has come. What Millrace had not read by then is lost, and a replay of the topic sees the last event of each key.',
    );
  const [type] = await admin.timestampTypes([name]);
  if (type === 'CreateTime') return change('foreign', `${ARRIVAL}${stampCommand(project, name)}`);
  return change(
    'keep',
    `${found} ${found === 1 ? 'partition' : 'partitions'}, the topic of its owner: never changed`,
  );
}
