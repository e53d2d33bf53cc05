import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { IdMemory } from '../../../processors/id-memory.ts';
import { FRESH_PROGRESS, type Progress } from '../../../processors/lateness.ts';
import { topics } from '../../../schemas/names.ts';
import type { Deduplication, Source } from '../../../schemas/project.ts';
import { MINUTE, SECOND } from '../../../schemas/time.ts';
import { recallIds } from '../../../streams/ingest/recall-ids.ts';
import type { Codecs } from '../../../streams/runtime/codecs.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';

const T = Date.UTC(2026, 0, 1);

interface One {
  readonly id: string;
  readonly offset: number;
  readonly arrival: number;
}

describe('the ids that a raw partition remembers', () => {
  let plane: Plane;
  let decoded: number;
  beforeEach(async () => {
    plane = await createPlane();
    decoded = 0;
  });

  const sourceWith = (deduplicate: Deduplication): Source => ({ ...plane.source, deduplicate });

  /** Puts accepted events on the validated topic, in the order given. */
  async function validated(events: readonly One[]): Promise<void> {
    const codec = plane.codecs.validated(plane.source.name);
    const producer = await plane.kafka.producer();
    const topic = topics.validated(plane.project.prefix, plane.source.name);
    await producer.send(
      events.map(({ id, offset, arrival }) => ({
        topic,
        partition: 1,
        key: null,
        value: codec.encode({
          event: tripStart(id, arrival),
          offset,
          appendTime: arrival,
          arrivedAt: arrival,
        }),
      })),
    );
    await producer.close();
  }

  function recall(source: Source, progress: Partial<Progress>): Promise<IdMemory | null> {
    const { codecs } = plane;
    const counting: Codecs = {
      ...codecs,
      validated(name) {
        const codec = codecs.validated(name);
        return {
          ...codec,
          read(bytes) {
            decoded += 1;
            return codec.read(bytes);
          },
        };
      },
    };
    return recallIds(
      { ...plane, codecs: counting },
      source,
      { partition: 1 },
      { ...FRESH_PROGRESS, ...progress },
    );
  }

  /** What the owner of the partition remembered when it had worked these. */
  function remembering(rule: Deduplication, events: readonly One[], cut = 7): IdMemory {
    const memory = new IdMemory(rule);
    for (const [i, { id, arrival, offset }] of events.entries()) {
      memory.add(id, arrival, offset);
      if (i % cut === 0) memory.keep();
    }
    memory.keep();
    return memory;
  }

  const answers = (memory: IdMemory | null, ids: readonly string[], arrival: number) =>
    ids.map((id) => memory?.find(id, arrival)?.offset ?? null);

  it('are none where the source does not deduplicate', async () => {
    expect(await recall(plane.source, {})).toBeNull();
  });

  it('are read past a record that somebody else put on the validated topic', async () => {
    const one = { id: 't1', offset: 1, arrival: T };
    await validated([one]);
    const producer = await plane.kafka.producer();
    const topic = topics.validated(plane.project.prefix, plane.source.name);
    await producer.send([{ topic, partition: 1, key: null, value: Buffer.from('none of ours') }]);
    await producer.close();
    const memory = await recall(sourceWith({ within: MINUTE, atMost: 10 }), { next: 2 });
    expect(answers(memory, ['t1'], T)).toEqual([1]);
  });

  it('are what the owner before remembered, whatever was sent twice and what was not worked yet', async () => {
    const logs = fc.record({
      rule: fc.record({ within: fc.integer({ min: 1, max: 60 }), atMost: fc.integer({ min: 1, max: 60 }) }),
      events: fc.array(
        fc.record({ gap: fc.integer({ min: -3, max: 4 }), skipped: fc.integer({ min: 0, max: 3 }) }),
        { minLength: 1, maxLength: 150 },
      ),
      resent: fc.array(fc.tuple(fc.nat(200), fc.nat(200)), { maxLength: 3 }),
      worked: fc.nat(150),
    });
    await fc.assert(
      fc.asyncProperty(logs, async ({ rule, events, resent, worked }) => {
        plane = await createPlane();
        let [offset, arrival] = [0, T];
        const all = events.map(({ gap, skipped }, i): One => {
          offset += 1 + skipped;
          arrival += gap;
          return { id: `t${i}`, offset, arrival };
        });
        // An owner that crashed begins again below what it had sent.
        const log = [...all];
        for (const [at, back] of resent) {
          const end = log.findIndex(({ offset: o }) => o === all[Math.min(at, all.length - 1)]?.offset) + 1;
          const last = all.findIndex(({ offset: o }) => o === log[end - 1]?.offset);
          log.splice(end, 0, ...all.slice(Math.max(0, last - back), last + 1));
        }
        await validated(log);
        const done = all.slice(0, Math.max(1, worked % all.length));
        const next = (done.at(-1)?.offset ?? 0) + 1;
        const source = sourceWith(rule);
        const memory = remembering(rule, done);
        const again = await recall(source, { next, remembered: memory.start(next) });
        const ids = all.map(({ id }) => id);
        for (const at of [arrival - 20, arrival, arrival + 30])
          expect(answers(again, ids, at)).toEqual(answers(memory, ids, at));
        expect(again?.size).toBe(memory.size);
        // Nothing is known of where they begin: the store was lost, or the rule is new.
        const anew = await recall(source, { next });
        expect(answers(anew, ids, arrival)).toEqual(answers(memory, ids, arrival));
      }),
      { numRuns: 60 },
    );
  });

  describe('of a long log', () => {
    const rule = { within: 10 * MINUTE, atMost: 1_000_000 };
    const all = Array.from(
      { length: 40_000 },
      (_, i): One => ({ id: `t${i}`, offset: i, arrival: T + i * SECOND }),
    );
    const next = all.length;
    const last = all.slice(-601);

    it.each(['known', 'not known'])(
      'are read back from its end alone, where they begin is %s',
      async (kind) => {
        await validated(all);
        const memory = remembering(rule, all);
        const remembered = kind === 'known' ? memory.start(next) : null;
        const again = await recall(sourceWith(rule), { next, remembered });
        expect(again?.size).toBe(last.length);
        const ids = all.slice(-700).map(({ id }) => id);
        const now = T + (next - 1) * SECOND;
        expect(answers(again, ids, now)).toEqual(answers(memory, ids, now));
        expect(decoded).toBeLessThan(14_000);
      },
    );

    /*
     *  owner         0 ............................... 29,999
     *  late owner                                              100 .. 999
     *  owner                                                               30,000 .. 39,999
     */
    it('are all found though a late owner sent old ones again', async () => {
      const long = { within: 6 * 60 * MINUTE, atMost: 1_000_000 };
      await validated([...all.slice(0, 30_000), ...all.slice(100, 1_000), ...all.slice(30_000, 38_000)]);
      const worked = all.slice(0, 38_000);
      const memory = remembering(long, worked);
      for (const remembered of [memory.start(38_000), null]) {
        const again = await recall(sourceWith(long), { next: 38_000, remembered });
        expect(again?.size).toBe(memory.size);
      }
    });

    it('are read back by the new rule where another was in force', async () => {
      await validated(all);
      const before = remembering({ ...rule, within: MINUTE }, all);
      const again = await recall(sourceWith(rule), { next, remembered: before.start(next) });
      expect(again?.size).toBe(last.length);
    });
  });
});
