// Compiles the package into dist/, with every file that the code reads at run time. `npm pack` runs it.
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.build.json'), 'utf8'));

/** Files below a directory; none where it does not exist. */
const filesOf = (directory) =>
  (statSync(directory, { throwIfNoEntry: false }) ? readdirSync(directory, { recursive: true }) : [])
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());

rmSync(dist, { recursive: true, force: true });
const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const compiler = join(dirname(typescript), JSON.parse(readFileSync(typescript, 'utf8')).bin.tsc);
execFileSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit' });

// The compiler rewrites the endings of imports in the code, but not in the declarations.
for (const path of filesOf(dist).filter((name) => name.endsWith('.d.ts'))) {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/((?:from|import)\s*\(?\s*['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2'));
}

// The console: static files, which the API serves.
execFileSync(
  process.execPath,
  [join(root, 'node_modules/vite/bin/vite.js'), 'build', join(root, 'console')],
  { stdio: 'inherit' },
);

const assets = [
  join(root, 'docker-compose.yml'),
  ...include.flatMap((room) => filesOf(join(root, room)).filter((path) => !path.endsWith('.ts'))),
];
for (const path of assets) cpSync(path, join(dist, relative(root, path)));
