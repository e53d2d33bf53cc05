import type { Connections } from '../schemas/project.ts';
import type { Prediction } from '../schemas/records/prediction.ts';
import type { ClientProject, Contract } from './contract.ts';
import type { Following } from './follow.ts';
import type { Ports } from './ports.ts';
import { createProducer, type EventInput, type EventProducer } from './produce.ts';
import { type Checkpoint, SubscriptionError, subscribe } from './subscribe.ts';
import type {
  EventClient,
  FollowOptions,
  ModelName,
  ProjectTypes,
  TypedHandler,
  TypedPrediction,
} from './typed.ts';

export interface KafkaClientOptions {
  /** `host:port` */
  readonly brokers: readonly string[];
  readonly tls?: Connections['kafka']['tls'];
  readonly sasl?: NonNullable<Connections['kafka']['sasl']>;
  readonly registry: Connections['registry'];
  /** First part of the topics' names; default: as it was when the client was generated. */
  readonly prefix?: string;
  readonly ports?: Ports;
}

/** The typed client over Kafka and the schema registry. Nothing is connected before it is used. */
export function createKafkaClient<T extends ProjectTypes>(
  contract: Contract,
  { brokers, tls = false, sasl, registry, prefix, ports }: KafkaClientOptions,
): EventClient<T> {
  const project: ClientProject = {
    ...contract,
    prefix: prefix ?? contract.prefix,
    connections: { kafka: { brokers, tls, sasl: sasl ?? null }, registry },
  };
  const own = ports === undefined ? {} : { ports };
  let producer: Promise<EventProducer> | null = null;
  const open = new Set<Following>();
  return {
    async send(source, events) {
      producer ??= createProducer(project, own);
      const rows = (Array.isArray(events) ? events : [events]) as readonly EventInput[];
      await (await producer).send(source, rows);
    },
    async subscribe<M extends ModelName<T>>(
      model: M,
      handler: TypedHandler<T, M>,
      options: FollowOptions = {},
    ) {
      const { from, onTrouble } = options;
      const following = await subscribe(
        {
          project,
          model,
          ...own,
          ...(from === undefined ? {} : { from: checkpointOf(from) }),
          ...(onTrouble === undefined ? {} : { onTrouble }),
        },
        (predictions, checkpoint) => handler(predictions.map(typed<T, M>), JSON.stringify(checkpoint)),
      );
      open.add(following);
      void following.done.catch(() => {}).then(() => open.delete(following));
      return following;
    },
    async close() {
      await Promise.all([...open].map((one) => one.close()));
      await (await producer?.catch(() => null))?.close();
      producer = null;
    },
  };
}

function checkpointOf(place: string): Checkpoint {
  try {
    const checkpoint = JSON.parse(place) as Checkpoint | null;
    if (Array.isArray(checkpoint?.partitions)) return checkpoint as Checkpoint;
  } catch {
    // Told below.
  }
  throw new SubscriptionError(
    'bad_checkpoint',
    `'${place.slice(0, 60)}' is no place of a subscription over Kafka: give what a handler was given.`,
  );
}

function typed<T extends ProjectTypes, M extends ModelName<T>>(one: Prediction): TypedPrediction<T, M> {
  const { id, requestId, requestTime, status, reason, modelVersion, score, decision } = one;
  const reads = one.reads.map(({ read, entity, asOf, ageMs }) => ({ read, entity, asOf, ageMs }));
  const prediction = {
    id,
    requestId,
    requestTime,
    status,
    reason,
    modelVersion,
    score,
    decision,
    asked: false,
    reads,
  };
  return prediction as unknown as TypedPrediction<T, M>;
}
