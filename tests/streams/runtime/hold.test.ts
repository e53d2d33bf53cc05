import { expect, it } from 'vitest';
import { ALL_GUARDS } from '../../../streams/runtime/guards.ts';
import { decodeHold, encodeHold } from '../../../streams/runtime/hold.ts';

it('a hint comes back as it was written', () => {
  for (const time of [0, -5, 1_767_225_600_000]) expect(decodeHold(encodeHold(time))).toBe(time);
});

it.each(['', 'torn', 'null', '{}', '{"format":2,"least":1}', '{"format":1,"least":"1"}', '{"format":1}'])(
  'a hint that is not one of ours (%s) holds everything, and nobody fails for it',
  (text) => {
    expect(decodeHold(Buffer.from(text))).toBe(Number.NEGATIVE_INFINITY);
  },
);

it('every rule of the data plane is on where nobody switches it off', () => {
  expect(Object.entries(ALL_GUARDS).filter(([, on]) => !on)).toEqual([]);
});
