import { z } from 'zod';
import { name, oneOrMore } from './texts.ts';

const secretNote = `Only as \`\${env:NAME}\`.`;

/** What a section says where it is absent, or says nothing of it itself. References are replaced as those in the file are. */
export const DEFAULTS = {
  kafka: { brokers: `\${env:KAFKA_BROKERS:-localhost:9092}` },
  redis: { url: `\${env:REDIS_URL:-redis://localhost:6379}` },
  registry: { url: `\${env:REGISTRY_URL:-http://localhost:8081}` },
  clickhouse: { url: `\${env:CLICKHOUSE_URL:-http://localhost:8123}` },
} as const;

const pem = (what: string) =>
  z.string().optional().describe(`${what}, as \`\${file:PATH}\` or \`\${env:NAME}\`.`);

// Read before the reference is replaced: afterwards it is true or false.
const tlsReference = z.string().regex(/^\$\{env:.+\}$/, { error: 'reference' });
const tlsFiles = { ca: pem('Authority'), cert: pem('Certificate'), key: pem('Private key') };

/** A server of the online store or of the queue; `url` differs between them. */
const redisSettings = {
  username: z.string().optional().describe('User (ACL). It counts more than the one in `url`.'),
  password: z.string().optional().describe(`Password. ${secretNote}`),
  tls: z
    .union([
      z.boolean(),
      tlsReference,
      z.strictObject({
        ...tlsFiles,
        servername: z
          .string()
          .optional()
          .describe("Name in the server's certificate, where it is not the host of `url`."),
      }),
    ])
    .optional()
    .describe('Encryption; `rediss://` says it too.'),
  sentinel: z
    .strictObject({
      primary: z.string().min(1).describe('Name that the Sentinels know the primary by.'),
      username: z.string().optional().describe('User of the Sentinels themselves.'),
      password: z.string().optional().describe(`Password of the Sentinels themselves. ${secretNote}`),
    })
    .optional()
    .describe(
      'The hosts of `url` are Sentinels. A Redis Cluster needs no setting: any of its nodes says that it is one.',
    ),
};

export const connectionsSchema = z
  .strictObject({
    kafka: z
      .strictObject({
        brokers: oneOrMore(z.string().min(1))
          .default(DEFAULTS.kafka.brokers)
          .describe('`host:port`, several with commas or as a list.'),
        tls: z
          .union([z.boolean(), tlsReference, z.strictObject(tlsFiles)])
          .default(false)
          .describe('Encryption.'),
        sasl: z
          .strictObject({
            mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).describe('How to log in.'),
            username: z.string().min(1).describe('User.'),
            password: z.string().describe(`Password. ${secretNote}`),
          })
          .optional()
          .describe('Login.'),
      })
      .prefault({})
      .describe('The Kafka cluster.'),
    redis: z
      .strictObject({
        url: z
          .string()
          .min(1)
          .default(DEFAULTS.redis.url)
          .describe(
            `\`redis://\` or \`rediss://\`, several hosts with commas: \`redis://a:6379,b:6379\`. A password in it only as \`\${env:NAME}\`.`,
          ),
        ...redisSettings,
      })
      .prefault({})
      .describe('The online store: Redis or Valkey, one server, a Cluster, or a primary behind Sentinels.'),
    registry: z
      .strictObject({
        url: z.string().min(1).default(DEFAULTS.registry.url).describe('URL of the schema registry.'),
        username: z.string().optional().describe('User.'),
        password: z.string().optional().describe(`Password. ${secretNote}`),
      })
      .prefault({})
      .describe('The schema registry.'),
    clickhouse: z
      .strictObject({
        url: z
          .string()
          .min(1)
          .default(DEFAULTS.clickhouse.url)
          .describe("URL of ClickHouse's HTTP interface."),
        database: z.string().min(1).default('default').describe('Database.'),
        username: z.string().optional().describe('User.'),
        password: z.string().optional().describe(`Password. ${secretNote}`),
      })
      .prefault({})
      .describe('ClickHouse, where events and predictions lie.'),
    queue: z
      .strictObject({
        url: z.string().min(1).describe('Redis or Valkey with `maxmemory-policy noeviction`.'),
        ...redisSettings,
      })
      .optional()
      .describe("The pipelines' queue. Default: the online store."),
    receivers: z
      .record(
        name(''),
        z.union([
          z.strictObject({
            webhook: z.string().describe('URL that takes JSON by POST; empty = off.'),
            secret: z.string().optional().describe(`Signs each delivery. ${secretNote}`),
            cloudevents: z
              .boolean()
              .optional()
              .describe('Each delivery is a CloudEvent 1.0 in structured JSON. Default: false.'),
          }),
          z.strictObject({ alertmanager: z.string().describe('URL of an Alertmanager; empty = off.') }),
          z.strictObject({
            chat: z
              .string()
              .describe(
                'URL of a chat\'s incoming webhook that takes `{"text": …}` (Slack, Mattermost, Google Chat); empty = off.',
              ),
          }),
        ]),
      )
      .default({})
      .describe('Where alerts go.'),
    allow_private: z
      .array(z.string())
      .default([])
      .describe(
        'Private addresses, `host:port`, several with commas or as a list, that receivers may lie at; all others are refused.',
      ),
    mlflow: z
      .strictObject({
        url: z.string().describe('Tracking server; empty = none.'),
        token: z.string().optional().describe(`Token. ${secretNote}`),
      })
      .optional()
      .describe('Where training runs are mirrored to.'),
  })
  .describe('Where the servers are.');

export type ConnectionsDeclaration = z.output<typeof connectionsSchema>;
