import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { Checkpoint, type NextOffset, type StateResult } from '../../../streams/runtime/checkpoint.ts';
import { steppingClock } from '../clock.ts';

const at = (partition: number, offset: number): NextOffset => ({ topic: 't', partition, offset });

/*
 * A state that speaks for others (the clocks behind archived rows) comes last, and only if all of them are set:
 *
 *   rows a --\
 *             +--> clocks --> offsets
 *   rows b --/
 */
describe('a closing state', () => {
  let commits: string[][];
  let refused: ReadonlySet<string>;
  let told: NextOffset[];
  let checkpoint: Checkpoint<string, StateResult>;

  beforeEach(() => {
    [commits, refused, told] = [[], new Set(), []];
    const clock = steppingClock();
    checkpoint = new Checkpoint<string, StateResult>({
      kafka: createMemoryBroker(clock).kafka(),
      store: {
        async commit(states) {
          commits.push([...states]);
          return states.map((state) => ({ status: refused.has(state) ? 'failed' : 'committed' }));
        },
      },
      consumer: {
        async commit(offsets) {
          told.push(...offsets);
        },
        async close() {},
      },
      now: () => clock.now(),
    });
  });

  const flush = () =>
    checkpoint.flush({
      state: ['a', 'b'],
      closing: ['clocks'],
      offsets: [[at(0, 5), at(1, 7)], [at(2, 9)]],
    });

  it('is set in a commit of its own, after all others', async () => {
    const { results, closed } = await flush();
    expect(commits).toEqual([['a', 'b'], ['clocks']]);
    expect([results.length, closed.length]).toEqual([2, 1]);
    expect(told).toEqual([at(0, 5), at(1, 7), at(2, 9)]);
  });

  it('is not set where one of the others is not; only offsets of what is set are told', async () => {
    refused = new Set(['b']);
    const { results, closed } = await flush();
    expect(commits).toEqual([['a', 'b']]);
    expect(results.map(({ status }) => status)).toEqual(['committed', 'failed']);
    expect(closed).toEqual([]);
    expect(told).toEqual([at(0, 5), at(1, 7)]);
  });

  it('may fail itself: the caller sees it', async () => {
    refused = new Set(['clocks']);
    expect((await flush()).closed).toEqual([{ status: 'failed' }]);
  });

  it('is set alone where there are no others', async () => {
    const { closed } = await checkpoint.flush({ closing: ['clocks'] });
    expect(commits).toEqual([['clocks']]);
    expect(closed).toEqual([{ status: 'committed' }]);
  });
});
