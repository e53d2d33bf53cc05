import { constants, getPriority, setPriority } from 'node:os';

/** How much less of a busy processor: about a tenth of what a process of the priority before gets. */
const LESS = 10;

/**
 * Lowers a priority, so that work that can wait takes what others leave of the processors. Where the system does not let us, the
 * work goes on as it was.
 *
 * @param pid of a process; default: whoever calls, which on Linux is the calling thread alone.
 */
export function giveWay(pid = 0): void {
  try {
    setPriority(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority(pid) + LESS));
  } catch {
    // The process has ended already, or its priority is not ours to change.
  }
}

/** In a thread of its own: elsewhere than on Linux that would slow down the whole process, streams and all. */
export function giveWayInThread(): void {
  if (process.platform === 'linux') giveWay();
}
