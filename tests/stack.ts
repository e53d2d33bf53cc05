import { inject } from 'vitest';
import { type ServiceName, type StackAddresses, up } from '../infrastructure/local/stack.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Data directory of the stack that the tests of this run share. */
    stackDirectory: string;
  }
}

/**
 * The one stack that all tests of a run share, started when the first test asks (Kafka in 3 s, the registry
 * in 10 s) and stopped after the last. `MILLRACE_TEST_STACK=<data directory>` uses a running one instead.
 * Share it: random topics, key prefixes and tables; remove nothing that your test did not make.
 */
export function testStack(services?: readonly ServiceName[]): Promise<StackAddresses> {
  return up({ dataDir: inject('stackDirectory'), mode: 'native', ...(services ? { services } : {}) });
}
