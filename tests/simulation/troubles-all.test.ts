import { describe, it } from 'vitest';
import { allKept } from './troubles.ts';

describe('ordinary troubles break no promise of all streams together', () => {
  for (let block = 0; block < 4; block += 1)
    it(`seeds ${block * 100} to ${block * 100 + 99}`, { timeout: 900_000 }, () =>
      allKept('all', block * 100, 100),
    );
});
