import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a manifest says of the code that trained a model. */
export function codeVersion(packageDirectory: string): string {
  const { name, version } = JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
  };
  return `${name} ${version}`;
}
