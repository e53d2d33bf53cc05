import { cached, run } from '../../infrastructure/local/install.ts';
import { cacheDirectory } from '../../infrastructure/local/places.ts';

/** A directory with a package of PyPI, for PYTHONPATH; or why there is none. Fetched once. */
export async function installPyPi(
  name: string,
  version: string,
): Promise<{ readonly packages: string } | { readonly reason: string }> {
  const python = await run('python3', ['--version']).catch(() => null);
  if (python === null || python.missing || python.code !== 0)
    return { reason: `python3 is not on PATH, and ${name} is written in it` };
  let failure = '';
  const packages = await cached(cacheDirectory(), `${name}-${version}`, async (directory) => {
    const options = ['--quiet', '--disable-pip-version-check', '--no-warn-conflicts', '--target', directory];
    const installed = await run('python3', ['-m', 'pip', 'install', ...options, `${name}==${version}`]);
    if (installed.code === 0) return;
    failure = installed.stderr.trim().split('\n').at(-1) ?? '';
    throw new Error(failure);
  }).catch(() => null);
  return packages === null ? { reason: `pip could not install ${name}: ${failure}` } : { packages };
}
