import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  clickhouseAccess,
  kafkaHeap,
  kafkaSettings,
  ports,
  registryHeap,
  registrySettings,
  valkeySettings,
} from '../../../infrastructure/local/settings.ts';
import { versions } from '../../../infrastructure/local/versions.ts';

const service = z.strictObject({
  image: z.string(),
  environment: z.record(z.string(), z.string()).default({}),
  command: z.array(z.string()).optional(),
  ports: z.array(z.string()),
  volumes: z.array(z.string()).optional(),
  depends_on: z
    .record(z.string(), z.strictObject({ condition: z.enum(['service_healthy', 'service_started']) }))
    .optional(),
  healthcheck: z
    .strictObject({ test: z.array(z.string()), interval: z.string(), timeout: z.string(), retries: z.int() })
    .optional(),
  ulimits: z.unknown().optional(),
});

const file = z
  .strictObject({
    services: z.strictObject({ kafka: service, redis: service, registry: service, clickhouse: service }),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(parse(readFileSync(new URL('../../../docker-compose.yml', import.meta.url), 'utf8')));

const { kafka, redis, registry, clickhouse } = file.services;

/** As Kafka's image reads them: KAFKA_A_B is a.b in server.properties. */
const variable = (property: string) => `KAFKA_${property.toUpperCase().replaceAll('.', '_')}`;

describe('docker-compose.yml and the native stack agree', () => {
  it('in versions', () => {
    expect(kafka.image).toBe(`apache/kafka:${versions.kafka.version}`);
    expect(redis.image).toBe(`valkey/valkey:${versions.valkey.version.split('.').slice(0, 2).join('.')}`);
    expect(registry.image).toBe(`apicurio/apicurio-registry:${versions.registry.version}`);
    expect(clickhouse.image).toBe(
      `clickhouse/clickhouse-server:${versions.clickhouse.version.split('.').slice(0, 2).join('.')}`,
    );
    expect([kafka.image, redis.image, registry.image, clickhouse.image]).toEqual([
      versions.kafka.image,
      versions.valkey.image,
      versions.registry.image,
      versions.clickhouse.image,
    ]);
  });

  it('in ports, on 127.0.0.1 alone', () => {
    const published = (name: keyof typeof ports, inside: number) => [
      `127.0.0.1:\${MILLRACE_${name.toUpperCase()}_PORT:-${ports[name]}}:${inside}`,
    ];
    expect(kafka.ports).toEqual(published('kafka', 19092));
    expect(redis.ports).toEqual(published('redis', 6379));
    expect(registry.ports).toEqual(published('registry', 8080));
    expect(clickhouse.ports).toEqual(published('clickhouse', 8123));
    expect(kafka.environment.KAFKA_ADVERTISED_LISTENERS).toContain(
      `HOST://127.0.0.1:\${MILLRACE_KAFKA_PORT:-${ports.kafka}}`,
    );
  });

  it('in the settings of Kafka', () => {
    const shared = Object.fromEntries(
      Object.entries(kafkaSettings).map(([name, value]) => [variable(name), value]),
    );
    expect(kafka.environment).toMatchObject(shared);
    const own = /NODE_ID|PROCESS_ROLES|CONTROLLER|LISTENER|LOG_DIRS|HEAP_OPTS/;
    const extra = Object.keys(kafka.environment).filter((name) => !(name in shared) && !own.test(name));
    expect(extra).toEqual([]);
    expect(kafka.environment.KAFKA_HEAP_OPTS).toBe(kafkaHeap.join(' '));
  });

  it('in the settings of Valkey, the registry and ClickHouse', () => {
    const flags = Object.entries(valkeySettings).flatMap(([name, value]) => [`--${name}`, value]);
    expect(redis.command).toEqual(['valkey-server', ...flags]);
    expect(registry.environment).toEqual({
      ...registrySettings,
      APICURIO_KAFKASQL_BOOTSTRAP_SERVERS: 'kafka:9092',
      JAVA_OPTS_APPEND: registryHeap.join(' '),
    });
    // What CLICKHOUSE_SKIP_USER_SETUP leaves: the user `default` without a password.
    expect(clickhouse.environment).toEqual({ CLICKHOUSE_SKIP_USER_SETUP: '1', TZ: 'UTC' });
    expect(clickhouseAccess).toEqual({ user: 'default', password: '' });
  });

  it('in what needs what, and data outlives a container', () => {
    expect(registry.depends_on).toEqual({ kafka: { condition: 'service_healthy' } });
    expect(kafka.healthcheck).toBeDefined();
    const volumes = [kafka, redis, clickhouse]
      .flatMap((one) => one.volumes ?? [])
      .map((volume) => volume.split(':')[0]);
    expect(volumes.sort()).toEqual(Object.keys(file.volumes).sort());
  });
});
