import { mkdirSync, writeFileSync, writeSync } from 'node:fs';
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

const SUMMARY_FILE = 'data/test-summary.txt';

/**
 * Prints `N passed, N failed[, N skipped]` as the very last line and leaves it in data/test-summary.txt.
 * A test file that does not load and an error outside of every test count as failed, and so does a run
 * that never came to its end.
 */
export default class SummaryReporter implements Reporter {
  private line = '0 passed, 1 failed';
  private failed = 1;

  constructor() {
    process.on('exit', () => {
      if (this.failed > 0 && !process.exitCode) process.exitCode = 1;
      mkdirSync('data', { recursive: true });
      writeFileSync(SUMMARY_FILE, `${this.line}\n`);
      writeSync(1, `${this.line}\n`);
    });
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test that never got its turn (its hook failed, the run was cut) did not pass.
        const outcome = state === 'pending' ? 'failed' : state;
        counts[outcome] += 1;
        if (outcome === 'failed') failedHere += 1;
      }
      if (module.state() === 'failed' && failedHere === 0) counts.failed += 1;
    }
    if (reason !== 'passed' && counts.failed === 0) counts.failed = 1;
    this.failed = counts.failed;
    this.line = `${counts.passed} passed, ${counts.failed} failed`;
    if (counts.skipped > 0) this.line += `, ${counts.skipped} skipped`;
  }
}
