import { z } from 'zod';
import { oneOrMore } from './texts.ts';

const secretNote = `Only as \`\${env:NAME}\`.`;

const pem = (what: string) =>
  z.string().optional().describe(`${what}, as \`\${file:PATH}\` or \`\${env:NAME}\`.`);

export const connectionsSchema = z
  .strictObject({
    kafka: z
      .strictObject({
        brokers: oneOrMore(z.string().min(1)).describe('`host:port`, several with commas or as a list.'),
        tls: z
          .union([
            z.boolean(),
            // Read before the reference is replaced: afterwards it is true or false.
            z.string().regex(/^\$\{env:.+\}$/, { error: 'reference' }),
            z.strictObject({ ca: pem('Authority'), cert: pem('Certificate'), key: pem('Private key') }),
          ])
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
      .describe('The Kafka cluster.'),
    redis: z
      .strictObject({
        url: z
          .string()
          .min(1)
          .describe(`\`redis://\` or \`rediss://\`. A password in it only as \`\${env:NAME}\`.`),
      })
      .describe('The online store: Redis or Valkey.'),
    registry: z
      .strictObject({
        url: z.string().min(1).describe('URL of the schema registry.'),
        username: z.string().optional().describe('User.'),
        password: z.string().optional().describe(`Password. ${secretNote}`),
      })
      .describe('The schema registry.'),
    clickhouse: z
      .strictObject({
        url: z.string().min(1).describe("URL of ClickHouse's HTTP interface."),
        database: z.string().min(1).default('default').describe('Database.'),
        username: z.string().optional().describe('User.'),
        password: z.string().optional().describe(`Password. ${secretNote}`),
      })
      .describe('ClickHouse, where events and predictions lie.'),
  })
  .describe('Where the servers are.');

export type ConnectionsDeclaration = z.output<typeof connectionsSchema>;
