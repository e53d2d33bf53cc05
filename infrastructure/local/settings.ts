/**
 * Ports and settings that both stacks share. The native stack passes them to the servers; a test holds
 * `docker-compose.yml` to the same values.
 */

/** Preferred ports on 127.0.0.1; a free one is taken where another program holds the preferred one. */
export const ports = {
  kafka: 19092,
  redis: 16379,
  registry: 18081,
  clickhouse: 18123,
} as const;

/**
 * Kafka's server settings, as in server.properties. One broker, so every internal topic has one copy.
 * Topics carry append time: a topic stamped with event time of 2001 would fall to retention at once.
 */
export const kafkaSettings: Readonly<Record<string, string>> = {
  'auto.create.topics.enable': 'false',
  'log.message.timestamp.type': 'LogAppendTime',
  // A topic that does not say how long it is kept is kept: the registry's journal does not say.
  'log.retention.ms': '-1',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '8',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'share.coordinator.state.topic.num.partitions': '1',
  'group.initial.rebalance.delay.ms': '0',
  'log.cleaner.dedupe.buffer.size': '16777216',
  'num.network.threads': '2',
  'num.io.threads': '4',
};

/** Small heap: the page cache, not the heap, is what makes Kafka fast. */
export const kafkaHeap = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC'];

/** The feature store must refuse writes when memory is full, never evict. */
export const valkeySettings: Readonly<Record<string, string>> = {
  appendonly: 'yes',
  appendfsync: 'everysec',
  'maxmemory-policy': 'noeviction',
  save: '',
};

export const registrySettings: Readonly<Record<string, string>> = {
  APICURIO_STORAGE_KIND: 'kafkasql',
  // At each start it waits this long for a snapshot that is mostly not there (default 5 s); without one it
  // replays its journal from the beginning, which is as good.
  APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT: '1000',
};

export const registryHeap = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Confluent's own default. Apicurio starts with NONE, which would let any schema through. */
export const registryCompatibility = 'BACKWARD';

/** ClickHouse's user and password on both stacks: the local stack listens on 127.0.0.1 alone. */
export const clickhouseAccess = { user: 'default', password: '' } as const;
