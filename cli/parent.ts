/** A process that another one of ours started ends when that one is gone, however it went. */
export function endWithParent(signal: AbortSignal): AbortSignal {
  if (process.send === undefined) return signal;
  const orphan = new AbortController();
  process.once('disconnect', () => orphan.abort());
  return AbortSignal.any([signal, orphan.signal]);
}
