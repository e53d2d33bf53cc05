/**
 * URL of a module beside the one that asks, for a process or a thread of its own. Sources end in .ts, the compiled
 * package in .js.
 *
 * @param from `import.meta.url` of the caller
 * @param path without its ending: `./thread`
 */
export function moduleUrl(from: string, path: string): URL {
  return new URL(`${path}${from.endsWith('.ts') ? '.ts' : '.js'}`, from);
}
