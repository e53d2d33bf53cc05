// Exit 0 when node_modules holds what package-lock.json says. Runs on any Node, before anything is installed.
import { readFileSync } from 'node:fs';

const packages = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;

try {
  const wanted = packages('package-lock.json');
  const installed = packages('node_modules/.package-lock.json');
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    // An optional package that does not fit this machine is left out by npm.
    if (path !== '' && installed[path]?.version !== version && !(optional && !installed[path]))
      process.exit(1);
  }
} catch {
  process.exit(1);
}
