import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** Paths of all TypeScript files under `directory`, relative to the root, with `/`. None where it does not exist yet. */
export function sourceFiles(directory: string): string[] {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .map((file) => posix.join(directory, file.replaceAll('\\', '/')))
    .filter((file) => file.endsWith('.ts') && !file.includes('node_modules/'))
    .sort();
}

export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** The code without comments, and with the text of strings kept: enough for finding imports and names. */
export function withoutComments(code: string): string {
  // A string or template is matched first, so that `//` inside one (a URL) is not taken for a comment.
  return code.replace(
    /('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_match, text: string | undefined) => text ?? ' ',
  );
}

const IMPORT =
  /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire(?:\.resolve)?\s*\(\s*|\bimport\.meta\.resolve\s*\(\s*)['"`]([^'"`]+)['"`]/g;

/** What a file imports: paths relative to the root for our own files, the specifier for the rest. */
export function importsOf(
  file: string,
  code = read(file),
): Array<{ readonly own: boolean; readonly target: string }> {
  return [...withoutComments(code).matchAll(IMPORT)].map(([, specifier = '']) =>
    specifier.startsWith('.')
      ? { own: true, target: posix.join(posix.dirname(file), specifier) }
      : { own: false, target: specifier },
  );
}

/** What is loaded before any of the file's own code runs: imports that are neither types alone nor dynamic. */
export function staticImportsOf(
  file: string,
  code = read(file),
): Array<{ readonly own: boolean; readonly target: string }> {
  const statements =
    withoutComments(code)
      .replace(/`(?:[^`\\]|\\.)*`/g, '``')
      .match(/^(?:import|export)\b(?! type\b)[^;]*?['"`][^'"`]+['"`]/gm) ?? [];
  return statements
    .filter((statement) => /\bfrom\s*['"`]|^import\s*['"`]/.test(statement))
    .flatMap((statement) => importsOf(file, statement));
}

/** Packages that come with a file, by imports that run before any of its code. */
export function packagesOf(entry: string): string[] {
  const seen = new Set([entry]);
  const packages = new Set<string>();
  for (const file of seen)
    for (const { own, target } of staticImportsOf(file))
      if (own) seen.add(target);
      else if (!target.startsWith('node:'))
        packages.add(
          target
            .split('/')
            .slice(0, target.startsWith('@') ? 2 : 1)
            .join('/'),
        );
  return [...packages].sort();
}
