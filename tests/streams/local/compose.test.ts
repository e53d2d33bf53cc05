import { expect, it } from 'vitest';
import { afterTakeover } from '../../../streams/local/compose.ts';
import type { Stream } from '../../../streams/runtime/stream.ts';

/** Answers whether the definition before is in service, look by look; what ran meanwhile. */
async function ranUnder(looks: readonly (boolean | Error)[]): Promise<string[]> {
  const ran: string[] = [];
  const stop = new AbortController();
  const stream = (name: string): Stream => ({
    name,
    run: (signal) =>
      new Promise((done) => {
        ran.push(name);
        signal.addEventListener('abort', () => done(), { once: true });
      }),
  });
  const left = [...looks];
  const inService = async () => {
    const look = left.shift();
    if (left.length === 0) stop.abort();
    if (look instanceof Error) throw look;
    return look ?? false;
  };
  const clock = { sleep: () => new Promise<void>((done) => setTimeout(done, 0)) };
  await afterTakeover(stream('inference answers'), stream('ingest answers'), clock, inService).run(
    stop.signal,
  );
  return ran;
}

it('ingest answers once the definition before is out of service at two looks, and no longer when it is back', async () => {
  const away = new Error('the store is away');
  expect(await ranUnder([true, true])).toEqual(['inference answers']);
  expect(await ranUnder([true, false, true, false, true])).toEqual(['inference answers']);
  expect(await ranUnder([true, false, false, false, false])).toEqual(['inference answers', 'ingest answers']);
  expect(await ranUnder([false, away, false, true])).toEqual(['inference answers']);
  expect(await ranUnder([false, false, away, false, true, true])).toEqual([
    'inference answers',
    'ingest answers',
    'inference answers',
  ]);
});
