#!/usr/bin/env node
// Nothing is imported before the version is known: an old Node would end with a SyntaxError that says nothing.
const { faultOfNode } = await import('./node-version.ts');
const fault = faultOfNode(process.versions.node);
if (fault !== null) {
  process.stderr.write(`error: ${fault}\n`);
  process.exit(2);
}

const { enableCompileCache } = await import('node:module');
// What was compiled once is kept (in the temporary directory), which halves the start of a command.
enableCompileCache();
const { main } = await import('./program.ts');
const { redact } = await import('../schemas/redaction.ts');
const { EXIT } = await import('./errors.ts');

/** A connection that somebody forgot to close must not keep a finished command alive. */
const EXIT_WITHIN_MS = 1_500;

// kafkajs sets timers in the past, which is harmless; a person who reads progress should not read of it.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning')
    process.stderr.write(redact(`${warning.name}: ${warning.message}\n`));
});

// Node prints such an error with all that hangs on it, an address with its password too.
process.on('uncaughtException', (error) => {
  process.stderr.write(
    redact(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`),
  );
  process.exit(EXIT.failed);
});

// `millrace … | head` closes our output early. It is told to end as by Ctrl-C, once: nothing is left half done, and it says how it ended.
let closed = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') {
    if (!closed) process.emit('SIGINT');
    closed = true;
    return;
  }
  process.stderr.write(`error: Standard output cannot be written: ${error.message}.\n`);
  process.exit(EXIT.failed);
});

process.exitCode = await main(process.argv.slice(2));
setTimeout(() => process.exit(), EXIT_WITHIN_MS).unref();
