import { randomUUID } from 'node:crypto';
import { createKafka } from '../infrastructure/kafka/driver.ts';
import type { Kafka } from '../infrastructure/kafka/port.ts';
import { createRegistry } from '../infrastructure/registry/client.ts';
import type { SchemaRegistry } from '../infrastructure/registry/port.ts';
import type { ClientProject } from './contract.ts';

/** What the client library talks to. Left out, it is what the project's connections name. */
export interface Ports {
  readonly kafka: Kafka;
  readonly registry: SchemaRegistry;
}

/** The ports to use, and how to close those that were opened here. */
export function openPorts(
  project: Pick<ClientProject, 'connections'>,
  given?: Ports,
): Ports & { close(): Promise<void> } {
  if (given !== undefined) return { ...given, close: async () => {} };
  const kafka = createKafka(project.connections, { clientId: `millrace-client-${randomUUID().slice(0, 8)}` });
  const registry = createRegistry(project.connections.registry);
  return {
    kafka,
    registry,
    async close() {
      await kafka.close();
      await registry.close();
    },
  };
}
