import type { Buffer } from 'node:buffer';
import { createRequire } from 'node:module';
import type { Connections } from '../../schemas/project.ts';
import { createSocketFactory, cuttable } from './addresses.ts';
import { KafkaError, type KafkaErrorCode } from './errors.ts';
import './kafkajs-mends.ts';

/**
 * What Millrace uses of kafkajs: its connections (framing, TLS, SASL, timeouts), metadata, and the small requests
 * of group members. Its consumer and producer are left aside (see docs/decisions/0004). kafkajs is
 * frozen and its version is pinned, so its inner modules stay what they are.
 */

export interface BrokerNode {
  readonly nodeId: number | string;
  readonly connectionPool: {
    send(request: {
      readonly request: {
        readonly apiKey: number;
        readonly apiVersion: number;
        readonly apiName: string;
        encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
      };
      readonly response: { decode(bytes: Buffer): Promise<object>; parse(decoded: object): Promise<unknown> };
      readonly requestTimeout?: number;
      readonly logResponseError?: boolean;
    }): Promise<unknown>;
  };
  disconnect(): Promise<void>;
  initProducerId(request: {
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: ReadonlyArray<{ name: string; metadata: Buffer }>;
  }): Promise<{
    generationId: number;
    leaderId: string;
    memberId: string;
    members: ReadonlyArray<{ memberId: string; memberMetadata: Buffer }>;
  }>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: ReadonlyArray<{ memberId: string; memberAssignment: Buffer }>;
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
  offsetCommit(request: {
    groupId: string;
    groupGenerationId: number;
    memberId: string;
    topics: ReadonlyArray<{
      topic: string;
      partitions: Array<{ partition: number; offset: string; metadata: null }>;
    }>;
  }): Promise<unknown>;
  listOffsets(request: {
    isolationLevel: number;
    topics: ReadonlyArray<{
      topic: string;
      partitions: ReadonlyArray<{ partition: number; timestamp: number }>;
    }>;
  }): Promise<{
    responses: ReadonlyArray<{
      topic: string;
      partitions: ReadonlyArray<{ partition: number; errorCode: number; offset: string }>;
    }>;
  }>;
}

interface PartitionMetadata {
  readonly partitionId: number;
  readonly leader: number;
}

export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  refreshMetadata(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
  findBroker(node: { nodeId: number | string }): Promise<BrokerNode>;
  findControllerBroker(): Promise<BrokerNode>;
  findGroupCoordinator(group: { groupId: string }): Promise<BrokerNode>;
  removeBroker(address: { host: string; port: number }): void;
}

/** Lines for an operator; pino fits. */
export interface KafkaLogger {
  debug(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface ClientOptions {
  readonly clientId: string;
  readonly logger?: KafkaLogger;
}

const require = createRequire(import.meta.url);
const KafkaCluster = require('kafkajs/src/cluster') as new (options: object) => Cluster;
const { createLogger, LEVELS } = require('kafkajs/src/loggers') as {
  createLogger(options: object): unknown;
  LEVELS: { readonly WARN: number; readonly NOTHING: number };
};

export const REQUEST_TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 3_000;

/** Options of kafkajs for these connections, its admin client's included. */
export function clientConfig(kafka: Connections['kafka'], options: ClientOptions) {
  const { logger } = options;
  return {
    brokers: kafka.brokers.map(cuttable),
    socketFactory: createSocketFactory() as never,
    clientId: options.clientId,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
    // Enough to ask every address once; who must wait longer does so above, where it can say so.
    retry: { retries: kafka.brokers.length, initialRetryTime: 50, maxRetryTime: 1_000 },
    ...(kafka.tls === false ? {} : { ssl: kafka.tls === true ? true : tlsOptions(kafka.tls) }),
    ...(kafka.sasl === null ? {} : { sasl: kafka.sasl as never }),
    logLevel: logger === undefined ? LEVELS.NOTHING : LEVELS.WARN,
    // What kafkajs calls an error is met by a retry or thrown to the caller: for the log it is a detail.
    logCreator: () => (entry: { log: { message: string } }) =>
      logger?.debug({ kafkajs: entry.log }, entry.log.message),
  };
}

function tlsOptions(tls: { readonly ca?: string; readonly cert?: string; readonly key?: string }) {
  return {
    ...(tls.ca === undefined ? {} : { ca: [tls.ca] }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  };
}

export function createCluster(kafka: Connections['kafka'], options: ClientOptions): Cluster {
  const config = clientConfig(kafka, options);
  return new KafkaCluster({
    ...config,
    logger: createLogger({ level: config.logLevel, logCreator: config.logCreator }),
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    isolationLevel: 1,
  });
}

/** Connects, and learns the topics. Throws KafkaError in words for a person. */
export async function connect(
  cluster: Cluster,
  kafka: Connections['kafka'],
  topics: readonly string[],
): Promise<void> {
  try {
    await cluster.connect();
    await cluster.addMultipleTargetTopics(topics);
  } catch (error) {
    await cluster.disconnect().catch(() => {});
    const asked = topics.length === 0 ? '' : ` (topics ${topics.join(', ')})`;
    throw kafkaError(error, `cannot work with Kafka at ${kafka.brokers.join(', ')}${asked}`, 'unreachable');
  }
}

/** One request of our own making over the broker's connection. */
export async function request<T>(
  broker: BrokerNode,
  api: { readonly key: number; readonly version: number; readonly name: string },
  body: Buffer,
  decode: (bytes: Buffer) => T & object,
  waitMs = 0,
): Promise<T> {
  try {
    return (await broker.connectionPool.send({
      request: {
        apiKey: api.key,
        apiVersion: api.version,
        apiName: api.name,
        encode: async () => ({ buf: body, buffer: body }),
      },
      response: { decode: async (bytes) => decode(bytes), parse: async (decoded) => decoded },
      requestTimeout: waitMs + REQUEST_TIMEOUT_MS,
      logResponseError: false,
    })) as T;
  } catch (error) {
    if (nameOf(error) === 'KafkaJSConnectionClosedError') await broker.disconnect().catch(() => {});
    throw error;
  }
}

interface KafkaJsError extends Error {
  readonly type?: string;
  readonly code?: number | string;
  readonly retriable?: boolean;
  readonly cause?: unknown;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** The error under kafkajs's 'number of retries exceeded'. */
export function rootCause(error: unknown): KafkaJsError {
  let found = error as KafkaJsError;
  while (found.cause instanceof Error) found = found.cause as KafkaJsError;
  return found;
}

/** What kafkajs throws, besides errors of connections, while brokers are away or have just come back. */
const AWAY: ReadonlySet<string> = new Set([
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSGroupCoordinatorNotFound',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
  'KafkaJSLockTimeout',
]);

export function isConnectionFailure(error: unknown): boolean {
  const { name, code } = rootCause(error);
  return (
    name.startsWith('KafkaJSConnection') ||
    AWAY.has(name) ||
    (typeof code === 'string' && /^E[A-Z]+$/.test(code))
  );
}

/** A failure of kafkajs in our words. `what` begins the sentence. */
export function kafkaError(error: unknown, what: string, otherwise: KafkaErrorCode): KafkaError {
  if (error instanceof KafkaError) return error;
  const cause = rootCause(error);
  const told = `${what}: ${cause.message}`;
  if (isConnectionFailure(error)) {
    const mend = 'is the broker running, and are kafka.brokers and kafka.tls right?';
    return new KafkaError('unreachable', `${told}; ${mend}`, { retriable: true, cause: error });
  }
  if (cause.type === 'UNKNOWN_TOPIC_OR_PARTITION') {
    const mend = "a topic or partition is not there; 'millrace apply' creates topics";
    return new KafkaError('unknown_topic', `${what}: ${mend}`, { retriable: false, cause: error });
  }
  if (/AUTHORIZATION|SASL|AUTHENTICATION/.test(cause.type ?? cause.name.toUpperCase())) {
    const mend = "mend kafka.sasl, or the broker's access rules";
    return new KafkaError('not_allowed', `${told}; ${mend}`, { retriable: false, cause: error });
  }
  return new KafkaError(otherwise, told, { retriable: cause.retriable !== false, cause: error });
}
