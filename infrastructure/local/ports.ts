import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { alive, type ProcessRecord, startOf } from './processes.ts';

function listenOn(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

/** The first of the wished ports on 127.0.0.1 that is free and not in `taken`, else any free one. */
export async function freePort(wished: readonly number[], taken: ReadonlySet<number>): Promise<number> {
  for (const port of wished) {
    if (!taken.has(port) && (await listenOn(port)) !== undefined) return port;
  }
  for (;;) {
    const port = await listenOn(0);
    if (port !== undefined && !taken.has(port)) return port;
  }
}

/** Reservations, one file a port, of this user's stacks. */
export const reservations = join(tmpdir(), `millrace-ports-${process.getuid?.() ?? 0}`);

/**
 * A free port that no other stack on this machine is about to take: between our finding it free and the
 * service listening there lie seconds, in which another stack's service would answer as if it were ours.
 * Held until `release`, or until this process is gone.
 */
export async function reservePort(
  wished: readonly number[],
  taken: ReadonlySet<number>,
): Promise<{ port: number; release(): void }> {
  mkdirSync(reservations, { recursive: true });
  for (const name of readdirSync(reservations)) {
    if (abandoned(join(reservations, name))) rmSync(join(reservations, name), { force: true });
  }
  const passed = new Set(taken);
  const mine = JSON.stringify({ pid: process.pid, started: startOf(process.pid) ?? '' });
  for (;;) {
    const port = await freePort(wished, passed);
    const file = join(reservations, `${port}.json`);
    try {
      writeFileSync(file, mine, { flag: 'wx' });
      return { port, release: () => rmSync(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    passed.add(port);
  }
}

function abandoned(file: string): boolean {
  try {
    return !alive(JSON.parse(readFileSync(file, 'utf8')) as ProcessRecord);
  } catch {
    // Being written, or just removed.
    return false;
  }
}
