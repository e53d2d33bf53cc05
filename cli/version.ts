import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Manifest {
  readonly name: string;
  readonly version: string;
}

const manifest = (packageDirectory: string) =>
  JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as Manifest;

/** What a manifest says of the code that trained a model. */
export function codeVersion(packageDirectory: string): string {
  const { name, version } = manifest(packageDirectory);
  return `${name} ${version}`;
}

export const packageVersion = (packageDirectory: string): string => manifest(packageDirectory).version;
