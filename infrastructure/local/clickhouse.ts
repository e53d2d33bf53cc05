import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../module-url.ts';
import { StackError } from './errors.ts';
import type { Service } from './service.ts';
import { ports } from './settings.ts';
import { versions } from './versions.ts';

/** ClickHouse's engine (npm `chdb`) behind our own server of its HTTP interface, in a process of its own. */
export const clickhouse: Service = {
  name: 'clickhouse',
  needs: [],
  ports: { main: ports.clickhouse },
  startWithinMs: 90_000,
  stopWithinMs: 20_000,
  address: (port) => `http://127.0.0.1:${port}`,

  async install() {
    const require = createRequire(import.meta.url);
    const pinned = `chdb@${versions.clickhouse.chdb}`;
    let found: string;
    try {
      found = (require('chdb/package.json') as { version: string }).version;
    } catch (cause) {
      throw new StackError(
        'missing_tool',
        `The local ClickHouse is the npm package chdb (half a gigabyte), which is not installed: run \`npm install ${pinned}\`, or start Docker.`,
        { cause },
      );
    }
    if (found !== versions.clickhouse.chdb) {
      throw new StackError(
        'checksum',
        `chdb ${found} is installed, but ${versions.clickhouse.chdb} is needed: run \`npm install ${pinned}\`.`,
      );
    }
    return fileURLToPath(moduleUrl(import.meta.url, './clickhouse-server'));
  },

  async launch({ installed, dataDir, ports: given }) {
    return {
      command: process.execPath,
      args: [installed, '--data-dir', dataDir, '--port', String(given.main)],
      // Every statement occupies a libuv thread while it runs; the default of 4 would queue them.
      env: { UV_THREADPOOL_SIZE: '32' },
      cwd: dataDir,
    };
  },

  async ready(given) {
    const answer = await fetch(`http://127.0.0.1:${given.main}/ping`, { signal: AbortSignal.timeout(3_000) });
    return answer.ok;
  },
};
