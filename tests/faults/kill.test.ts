import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { HOUR } from '../../schemas/time.ts';
import { Flights, fingerprint, type Outcome, openFlightsFile } from '../scenarios/flights.ts';
import { testStack } from '../stack.ts';

const STREAMS = ['ingest', 'features', 'inference'];
const range = { from: Date.UTC(2001, 2, 23, 12), to: Date.UTC(2001, 2, 23, 12) + 6 * HOUR };

describe('kill -9 of the real processes during a replay', () => {
  let file: HistoryFile;
  let calm: Flights;
  let struck: Flights;

  beforeAll(async () => {
    const stack = await testStack();
    file = await openFlightsFile();
    calm = new Flights(stack);
    struck = new Flights(stack);
    await Promise.all([calm.createTopics(), struck.createTopics()]);
  });

  afterAll(async () => {
    await Promise.all([calm?.remove(), struck?.remove()]);
  });

  it('gives the same counts and the same bits as an undisturbed run', { timeout: 300_000 }, async () => {
    await calm.start(STREAMS);
    const whole = await calm.replay(file, range, { planted: 2 });
    const expected = await calm.outcome();

    let process: ChildProcess = await struck.start(STREAMS);
    let kills = 0;
    let restarting: Promise<void> = Promise.resolve();
    const total = whole.sent;
    const result = await struck.replay(file, range, {
      planted: 2,
      onProgress: ({ sent }) => {
        if (kills >= 3 || sent < ((kills + 1) * total) / 4) return;
        kills += 1;
        process.kill('SIGKILL');
        restarting = restarting.then(async () => {
          process = await struck.start(STREAMS);
        });
      },
    });
    await restarting;
    const outcome = await struck.outcome();

    expect(kills).toBe(3);
    expect(result.sent).toBe(whole.sent);
    same(outcome, expected);
    expect(outcome.accepted.length + outcome.letters.length, 'raw = accepted + rejected + late').toBe(
      result.sent,
    );
    const requests = outcome.accepted.filter(({ event }) => event.type === 'flight.departed').length;
    expect(outcome.predictions.length, 'one prediction a request').toBe(requests);
    expect(expected.repeats, 'an undisturbed run repeats nothing').toBe(0);
  });
});

function same(outcome: Outcome, expected: Outcome): void {
  expect(outcome.accepted.length).toBe(expected.accepted.length);
  expect(codes(outcome)).toEqual(codes(expected));
  const want = fingerprint(expected.predictions);
  const have = fingerprint(outcome.predictions);
  expect(have.size).toBe(want.size);
  const different = [...want].filter(([id, hash]) => have.get(id) !== hash).map(([id]) => id);
  expect(different).toEqual([]);
}

function codes({ letters }: Outcome): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { code } of letters) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}
