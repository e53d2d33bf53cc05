import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { packagesOf, root } from './sources.ts';

const CONFIGURATION = ['@marcbachmann/cel-js', 're2js', 'yaml', 'zod'];

/** What each entry may load at once; whatever else it needs is imported where it is used. */
const LOADS: Readonly<Record<string, readonly string[]>> = {
  'cli/program.ts': ['commander'],
  'cli/commands/features.ts': ['commander', ...CONFIGURATION],
  'cli/commands/run.ts': ['commander', 'pino', 'prom-client', ...CONFIGURATION],
  'platform/platform.ts': [],
  'platform/compose.ts': CONFIGURATION,
  'streams/ingest/ingest.ts': CONFIGURATION,
  'streams/features/features.ts': ['avsc', ...CONFIGURATION],
  'streams/inference/inference.ts': CONFIGURATION,
  'streams/archive/archive.ts': ['avsc', ...CONFIGURATION],
  'monitoring/monitoring.ts': CONFIGURATION,
  'pipelines/pipelines.ts': CONFIGURATION,
};

describe('what is loaded', () => {
  for (const [file, allowed] of Object.entries(LOADS))
    it(`${file} loads ${allowed.length === 0 ? 'no package' : `no package but ${allowed.join(', ')}`}`, () => {
      expect(packagesOf(file).filter((name) => !allowed.includes(name))).toEqual([]);
    });

  it('is found however deep it lies', () => {
    expect(packagesOf('infrastructure/kafka/driver.ts')).toContain('kafkajs');
    expect(packagesOf('cli/serve-api.ts')).toContain('fastify');
  });

  it('by a process that shows the help is one package', async () => {
    // Each package that a process loads, told at its end.
    const hooks = `import { registerHooks } from 'node:module';
      const seen = new Set();
      registerHooks({ load(url, context, next) {
        const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
        if (name !== undefined) seen.add(name);
        return next(url, context);
      } });
      process.on('exit', () => process.stderr.write(JSON.stringify([...seen].sort())));`;
    const loaded = async (...command: string[]): Promise<string[]> => {
      const { stderr } = await promisify(execFile)(process.execPath, [
        '--import',
        `data:text/javascript,${encodeURIComponent(hooks)}`,
        join(root, 'cli/millrace.ts'),
        ...command,
      ]);
      return JSON.parse(stderr.slice(stderr.indexOf('['))) as string[];
    };
    expect(await loaded('--help')).toEqual(['commander']);
    const features = await loaded('features', 'get', '--help');
    expect(features.filter((name) => !['commander', ...CONFIGURATION].includes(name))).toEqual([]);
    const run = await loaded('run', '--help');
    for (const name of ['kafkajs', 'ioredis', '@clickhouse/client', 'bullmq', 'avsc', 'fastify', 'chdb'])
      expect(run).not.toContain(name);
  }, 60_000);
});
