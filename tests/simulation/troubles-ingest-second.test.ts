import { describe, it } from 'vitest';
import { allKept } from './troubles.ts';

describe('ordinary troubles break no promise of ingest', () => {
  for (let block = 8; block < 16; block += 1)
    it(`seeds ${block * 400} to ${block * 400 + 399}`, { timeout: 900_000 }, () =>
      allKept('ingest', block * 400, 400),
    );
});
