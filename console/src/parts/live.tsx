import type { Following } from '../lib/events.ts';

const SAID: Readonly<Record<Following, string>> = {
  connecting: 'connecting …',
  live: 'live',
  reconnecting: 'reconnecting …',
  asking: 'asks every few seconds',
};

/** Whether the page shows what is, or what was a moment ago. */
export function LiveState({ following }: { readonly following: Following }) {
  return (
    <span className={`live-state ${following}`} role="status">
      {SAID[following]}
    </span>
  );
}
