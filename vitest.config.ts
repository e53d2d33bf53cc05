import { defineConfig } from 'vitest/config';
import Interleaved from './tests/sequencer.ts';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    exclude: ['node_modules/**', 'data/**', 'dist/**'],
    globalSetup: ['tests/global-setup.ts'],
    setupFiles: ['tests/setup.ts'],
    // A file in each worker: most wait for servers as long as they compute.
    maxWorkers: 2,
    sequence: { sequencer: Interleaved },
    // Against a test that hangs, on however busy a machine; a test that is about time says so itself.
    testTimeout: 180_000,
    hookTimeout: 300_000,
  },
});
