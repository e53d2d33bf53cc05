import type { TestProject } from 'vitest/node';
import { removeStack, stackDirectory, sweepStacks } from './stack-directory.ts';

/** Names the stack that the tests of this run share (see stack.ts) and stops it after the last. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweepStacks();
  const running = process.env.MILLRACE_TEST_STACK;
  const directory = running || stackDirectory();
  project.provide('stackDirectory', directory);
  return async () => {
    if (!running) await removeStack(directory);
  };
}
