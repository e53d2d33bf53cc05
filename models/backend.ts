/**
 * Which engine trains. Best first: the native TensorFlow binding where a person installed one that loads, WebAssembly,
 * plain JavaScript. Scores never come from here (see dense.ts), so the choice changes speed and the last bits of the
 * weights, not what a published model means.
 */
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of all kernels, which the core on its own leaves out.
import '@tensorflow/tfjs-layers';
import type { Engine } from './trainer.ts';

const TRAINING_BACKENDS = ['tensorflow', 'wasm', 'cpu'] as const;
export type TrainingBackendName = (typeof TRAINING_BACKENDS)[number];

export type TrainingBackend = Engine;

/** An optional peer: named by a variable, so that neither the compiler nor a bundler asks for it. */
const NATIVE_PACKAGE: string = '@tensorflow/tfjs-node';

async function register(name: TrainingBackendName): Promise<void> {
  if (name === 'tensorflow') await import(NATIVE_PACKAGE);
  else if (name === 'wasm') {
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(join(dirname(entry), sep));
    // One thread: sums are then formed in one order, and a seed gives the same weights.
    wasm.setThreadsCount(1);
  } else await import('@tensorflow/tfjs-backend-cpu');
}

function sentence(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')
    return 'not installed';
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n')[0] ?? '').slice(0, 160);
}

/**
 * Makes a backend ready and says which one it took. Asked for one by name, it takes that or fails.
 *
 * @throws Error where none works.
 */
export async function initialiseBackend(
  wanted: TrainingBackendName | 'best' = 'best',
): Promise<TrainingBackend> {
  const refused: string[] = [];
  for (const name of wanted === 'best' ? TRAINING_BACKENDS : [wanted]) {
    try {
      await register(name);
      if (!(await tf.setBackend(name))) throw new Error('it did not start');
      await tf.ready();
      return {
        name,
        reason: `Training on the ${name} backend${refused.length === 0 ? '' : `; not available: ${refused.join('; ')}`}.`,
      };
    } catch (error) {
      refused.push(`${name} (${sentence(error)})`);
    }
  }
  throw new Error(`No TensorFlow.js backend works: ${refused.join('; ')}. Run "npm ci" again.`);
}
