import type { Clock } from '../../schemas/clock.ts';

export type SteppingClock = Clock & { time: number };

/** Time that passes only in sleeps, and where a test moves it. Epoch ms. */
export function steppingClock(time = Date.UTC(2026, 0, 1)): SteppingClock {
  return {
    time,
    now() {
      return this.time;
    },
    async sleep(ms) {
      await new Promise((resolve) => setImmediate(resolve));
      this.time += ms;
    },
  };
}
