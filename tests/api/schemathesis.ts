import { cached, run } from '../../infrastructure/local/install.ts';
import { cacheDirectory } from '../../infrastructure/local/places.ts';

const VERSION = '4.32.5';

/** Schemathesis of PyPI, fetched once; or why there is none. */
export async function installSchemathesis(): Promise<
  { readonly packages: string } | { readonly reason: string }
> {
  const version = await run('python3', ['--version']).catch(() => null);
  if (version === null || version.missing || version.code !== 0)
    return { reason: 'python3 is not on PATH, and Schemathesis is written in it' };
  let failure = '';
  const packages = await cached(cacheDirectory(), `schemathesis-${VERSION}`, async (directory) => {
    const options = ['--quiet', '--disable-pip-version-check', '--no-warn-conflicts', '--target', directory];
    const installed = await run('python3', ['-m', 'pip', 'install', ...options, `schemathesis==${VERSION}`]);
    if (installed.code === 0) return;
    failure = installed.stderr.trim().split('\n').at(-1) ?? '';
    throw new Error(failure);
  }).catch(() => null);
  return packages === null ? { reason: `pip could not install Schemathesis: ${failure}` } : { packages };
}
