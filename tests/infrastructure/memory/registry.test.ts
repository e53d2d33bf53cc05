import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { registryConformance } from '../registry/conformance.ts';

registryConformance('memory', async () => createMemoryRegistry());
