/** A process that another one of ours started ends when that one is gone, however it went. */
export function endWithParent(signal: AbortSignal): AbortSignal {
  if (process.send === undefined) return signal;
  const orphan = new AbortController();
  process.once('disconnect', () => orphan.abort());
  return AbortSignal.any([signal, orphan.signal]);
}

const LOOK_EVERY_MS = 300;

/**
 * `npx` starts a command through a shell, and passes a signal on to that shell alone. Where the shell is gone nobody is left who could
 * end us: then we end as after a signal. A process that nobody of npm's kind started may outlive whoever did (nohup).
 */
export function endWithShell(
  signal: AbortSignal,
  variables: Readonly<Record<string, string | undefined>>,
): AbortSignal {
  if (variables.npm_command === undefined && variables.npm_execpath === undefined) return signal;
  const started = process.ppid;
  const orphan = new AbortController();
  const looking = setInterval(() => {
    if (process.ppid === started) return;
    clearInterval(looking);
    orphan.abort();
  }, LOOK_EVERY_MS);
  looking.unref();
  return AbortSignal.any([signal, orphan.signal]);
}
