import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

type Variables = Readonly<Record<string, string | undefined>>;

/** XDG Base Directory Specification: a relative path counts as none. */
const absolute = (path: string | undefined) => (path && isAbsolute(path) ? path : undefined);

const windows = (variables: Variables) =>
  process.platform === 'win32' ? absolute(variables.LOCALAPPDATA) : undefined;

/** What all projects of this user share on this machine; the same from whatever directory a command is called. */
export function sharedDirectory(variables: Variables = process.env): string {
  const home = absolute(variables.XDG_DATA_HOME) ?? windows(variables) ?? join(homedir(), '.local', 'share');
  return join(home, 'millrace');
}

/** Data and addresses of the local stack: MILLRACE_STACK, else `stack` under MILLRACE_DATA, else the shared one. */
export function stackDirectory(variables: Variables = process.env): string {
  const { MILLRACE_STACK, MILLRACE_DATA } = variables;
  if (MILLRACE_STACK) return resolve(MILLRACE_STACK);
  return join(MILLRACE_DATA ? resolve(MILLRACE_DATA) : sharedDirectory(variables), 'stack');
}

/** Downloaded servers: MILLRACE_CACHE, else the user's cache. Whatever is deleted there is fetched again. */
export function cacheDirectory(variables: Variables = process.env): string {
  if (variables.MILLRACE_CACHE) return resolve(variables.MILLRACE_CACHE);
  const local = windows(variables);
  const home =
    absolute(variables.XDG_CACHE_HOME) ?? (local ? join(local, 'cache') : join(homedir(), '.cache'));
  return join(home, 'millrace');
}
