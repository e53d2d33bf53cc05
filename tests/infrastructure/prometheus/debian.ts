import { chmod, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { cached, exists, run } from '../../../infrastructure/local/install.ts';
import { cacheDirectory } from '../../../infrastructure/local/places.ts';

/** A program to test against and where to run it, or why there is none here. */
export type Found = { readonly program: string; readonly directory: string } | { readonly reason: string };

const WITHIN_MS = 90_000;

/**
 * A program from PATH, or else out of its Debian package: downloaded once, taken apart beside the other downloads, and
 * never installed, so it needs no root. Where apt is not there or has no network the answer is a reason. `data`: a
 * directory that the program looks for under its absolute path, where nothing is without an installation.
 */
export async function debianProgram(name: string, packageName: string, data?: string): Promise<Found> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(directory, name);
    if (directory !== '' && (await exists(program))) return { program, directory: '/' };
  }
  try {
    const directory = await cached(cacheDirectory(), `debian-${name}`, (into) =>
      fetchPackage(name, packageName, data, into),
    );
    return { program: join(directory, name), directory };
  } catch (error) {
    return {
      reason: `${name} is not on PATH, and the Debian package ${packageName} could not be had: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

async function fetchPackage(
  name: string,
  packageName: string,
  data: string | undefined,
  into: string,
): Promise<void> {
  const work = join(into, 'package');
  await mkdir(work);
  const signal = AbortSignal.timeout(WITHIN_MS);
  const download = () => run('apt-get', ['download', packageName], { cwd: work, signal });
  let ran = await download();
  if (ran.missing) throw new Error('there is no apt-get here');
  if (ran.code !== 0 && process.getuid?.() === 0) {
    // A machine that was never asked for packages has no list of them.
    await run('apt-get', ['update'], { signal });
    ran = await download();
  }
  const [file] = (await readdir(work)).filter((one) => one.endsWith('.deb'));
  if (ran.code !== 0 || file === undefined)
    throw new Error(ran.stderr.trim().split('\n').at(-1) ?? 'no package came');
  const unpacked = await run('dpkg-deb', ['-x', file, 'files'], { cwd: work, signal });
  if (unpacked.code !== 0) throw new Error(unpacked.stderr.trim());
  const program = join(into, name);
  const bytes = await readFile(join(work, 'files/usr/bin', name));
  if (data !== undefined) {
    await cp(join(work, 'files', data), into, { recursive: true });
    pointHere(bytes, data);
  }
  await writeFile(program, bytes);
  await chmod(program, 0o755);
  await run('rm', ['-rf', work]);
}

/** Writes a path of the same length into a program, which leads to where it is run: `./////…`. */
function pointHere(program: Buffer, path: string): void {
  const here = Buffer.from(`.${'/'.repeat(path.length - 1)}`);
  for (let at = program.indexOf(path); at >= 0; at = program.indexOf(path, at + 1)) here.copy(program, at);
}
