import { KafkaError } from '../../infrastructure/kafka/errors.ts';
import type { Admin } from '../../infrastructure/kafka/port.ts';
import type { Project } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { Change } from './change.ts';

/*
 * Topics that stood before `apply` may be CreateTime, Kafka's default: their records carry their producers' own times. Then an
 * event's arrival is whatever its producer says, nothing bounds its time, and one fast clock makes everybody else's events late.
 */

/** The broker does not let us set LogAppendTime on a topic of the project. */
export class TimestampsRefused extends MillraceError {
  readonly code = 'timestamps_refused';
  readonly retriable = false;
}

const WHY = "an event's time counts no further than its arrival, which only the broker's clock can tell";

/** The command with which somebody who may change a topic makes its broker stamp what arrives. */
export function stampCommand({ connections }: Pick<Project, 'connections'>, topic: string): string {
  const servers = connections.kafka.brokers.join(',');
  return `kafka-configs.sh --bootstrap-server ${servers} --alter --entity-type topics --entity-name ${topic} --add-config message.timestamp.type=LogAppendTime`;
}

/** A change for each topic that the broker does not stamp, or of which it does not say. `topics` exist. */
export async function planTimestamps(
  project: Project,
  topics: readonly string[],
  admin: Admin,
): Promise<ReadonlyMap<string, Change>> {
  const types = await admin.timestampTypes(topics);
  const changes = new Map<string, Change>();
  for (const [i, name] of topics.entries()) {
    const type = types[i];
    if (type === 'LogAppendTime') continue;
    const change = (action: Change['action'], detail: string): Change => ({
      kind: 'topic',
      name,
      action,
      detail,
    });
    if (type === 'CreateTime') changes.set(name, change('update', await mendText(name, admin)));
    else
      changes.set(
        name,
        change(
          'unknown',
          `The broker does not let us read whether it stamps records with its own clock (DescribeConfigs). It must: ${WHY}. Make sure with: ${stampCommand(project, name)}`,
        ),
      );
  }
  return changes;
}

async function mendText(topic: string, admin: Admin): Promise<string> {
  const records = (await admin.offsets(topic)).reduce((sum, { start, end }) => sum + end - start, 0);
  const left =
    records === 0
      ? ''
      : `; the ${records} offsets it holds already keep their producers' times, and an event ahead of its time among them still makes later ones late`;
  return `message.timestamp.type CreateTime becomes LogAppendTime: ${WHY}${left}`;
}

/** Sets LogAppendTime on the topics. Throws TimestampsRefused with the command where the broker does not let us. */
export async function mendTimestamps(
  project: Project,
  topics: readonly string[],
  admin: Admin,
): Promise<void> {
  const refused: Array<{ readonly topic: string; readonly cause: KafkaError }> = [];
  for (const topic of topics) {
    try {
      await admin.stampByBroker(topic);
    } catch (cause) {
      if (!(cause instanceof KafkaError) || cause.retriable) throw cause;
      refused.push({ topic, cause });
    }
  }
  const [first] = refused;
  if (first === undefined) return;
  const names = refused.map(({ topic }) => topic);
  const commands = names.map((name) => stampCommand(project, name)).join('\n');
  throw new TimestampsRefused(
    `Topic ${names.join(', ')} keeps its producers' times (message.timestamp.type CreateTime), and the broker does not let us change that (${first.cause.message}). It matters: ${WHY}; without it one producer's fast clock makes everybody else's events late. No topic, schema or table was made. Let somebody who may change topics run this, then apply again:\n${commands}`,
    { cause: first.cause },
  );
}
