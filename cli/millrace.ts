#!/usr/bin/env node
import { main } from './program.ts';

// kafkajs sets timers in the past, which is harmless; a person who reads progress should not read of it.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning')
    process.stderr.write(`${warning.name}: ${warning.message}\n`);
});

process.exitCode = await main(process.argv.slice(2));
