import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { historyOf, stretchAt, timelineOf } from '../../../infrastructure/registry/history.ts';
import {
  BadTransition,
  type Change,
  createModelRegistry,
  type ModelRegistry,
  Superseded,
} from '../../../infrastructure/registry/models.ts';
import { topics } from '../../../schemas/names.ts';
import type { ModelState, ModelVersion } from '../../../schemas/records/model-version.ts';

const codec = {
  encode: (version: ModelVersion) => Buffer.from(JSON.stringify(version)),
  read: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as ModelVersion,
};

function change(version: number, state: ModelState, more: Partial<Change> = {}): Change {
  const rest = {
    artefact: `a${version}`,
    location: '',
    layout: 'l',
    by: 'test',
    reason: 'why',
    evidence: '{}',
  };
  return { version, state, former: null, effectiveFrom: null, run: null, ...rest, ...more };
}

let kafka: Kafka;
let registry: ModelRegistry;
const append = (...changes: Change[]) => registry.append('late', () => changes);
const states = async () =>
  (await registry.list('late')).map(({ version, state }) => `${version} ${state}`).join(', ');

beforeEach(async () => {
  kafka = createMemoryBroker({ now: Date.now, sleep: async () => {} }).kafka();
  const admin = await kafka.admin();
  await admin.createTopics([{ name: topics.models('p'), partitions: 1, retentionMs: -1, compacted: true }]);
  registry = createModelRegistry({ kafka, codec, prefix: 'p', now: () => 7 });
});

describe('the registry of models', () => {
  it('is empty before anything is said', async () => {
    expect(await registry.list()).toEqual([]);
    expect(await registry.history('late')).toMatchObject({ champion: null, changes: [], versions: [] });
  });

  it('numbers the changes of each model, keeps them all, and answers with what each version is', async () => {
    await append(change(1, 'champion'));
    await registry.append('other', () => [change(1, 'candidate')]);
    await append(change(2, 'candidate'), change(2, 'challenger', { effectiveFrom: 50 }));
    await append(change(2, 'champion', { former: 'challenger', effectiveFrom: 90 }));
    const log = await registry.log();
    expect(log.map((one) => `${one.model} ${one.change} ${one.version} ${one.state}`)).toEqual([
      'late 1 1 champion',
      'other 1 1 candidate',
      'late 2 2 candidate',
      'late 3 2 challenger',
      'late 4 2 champion',
    ]);
    expect(new Set(log.map(({ id }) => id)).size).toBe(5);
    const { champion, versions } = await registry.history('late');
    expect(champion?.version).toBe(2);
    expect(versions).toMatchObject([
      { version: 1, state: 'challenger', guards: 2, since: { change: 4 }, registered: { change: 1, at: 7 } },
      { version: 2, state: 'champion', guards: null },
    ]);
    expect(await registry.list()).toHaveLength(3);
  });

  it('gives every change a key of its own, so that compaction removes none', async () => {
    await append(change(1, 'champion'));
    await append(change(2, 'candidate'));
    await append(change(2, 'retired'));
    const reader = await kafka.reader([{ topic: topics.models('p'), partition: 0, position: 'earliest' }]);
    const keys = (await reader.poll(100)).flatMap(({ records }) => records.map(({ key }) => String(key)));
    await reader.close();
    expect(new Set(keys).size).toBe(3);
  });

  it('lets the first of two hands change it, and tells the second who was first', async () => {
    await append(change(1, 'champion'));
    await append(change(2, 'candidate'));
    const both = await Promise.allSettled([
      registry.append('late', () => [change(2, 'challenger'), change(2, 'champion', { former: 'retired' })]),
      registry.append('late', () => [change(2, 'retired', { by: 'Ann', reason: 'looks wrong' })]),
    ]);
    const [lost] = both.filter(({ status }) => status === 'rejected');
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(lost?.status === 'rejected' ? lost.reason : null).toBeInstanceOf(Superseded);
    // Of the one that lost nothing counts, not its second change either.
    expect(['1 champion, 2 retired', '1 retired, 2 champion']).toContain(await states());
    expect((await registry.history('late')).superseded.length).toBeGreaterThan(0);
  });

  it('names the other hand', async () => {
    await append(change(1, 'champion'));
    let once = true;
    const slow = async () => {
      await registry.append('late', () => [change(2, 'candidate', { by: 'Ann', reason: 'a better one' })]);
      return registry;
    };
    const racing = createModelRegistry({
      prefix: 'p',
      codec,
      kafka: {
        ...kafka,
        producer: async () => {
          if (once) await slow();
          once = false;
          return kafka.producer();
        },
      },
    });
    await expect(racing.append('late', () => [change(2, 'candidate')])).rejects.toThrow(
      /Nothing was changed: .* Ann made version 2 of late candidate \(change 2: a better one\)/,
    );
  });

  it('refuses what the states do not allow, and appends nothing', async () => {
    await append(change(1, 'champion'));
    await expect(append(change(1, 'retired'))).rejects.toThrow(
      /is the champion: it goes when another takes over/,
    );
    await expect(append(change(3, 'candidate'))).rejects.toThrow('The next version of late is 2');
    await expect(append(change(2, 'champion'))).rejects.toThrow('what the champion before becomes');
    await append(change(2, 'candidate'));
    await append(change(2, 'retired'));
    await expect(append(change(2, 'challenger'))).rejects.toThrow(BadTransition);
    await expect(append(change(2, 'candidate'))).rejects.toThrow(
      'Version 2 of late is retired and cannot become candidate, only champion.',
    );
    expect((await registry.log()).length).toBe(3);
  });

  it('says nothing where there is nothing to say', async () => {
    expect((await registry.append('late', () => [])).changes).toEqual([]);
    expect(await registry.log()).toEqual([]);
  });

  it('reads alike whatever hands wrote, in whatever order their records came', () => {
    const hand = fc.record({ seen: fc.nat(), version: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(fc.array(hand, { maxLength: 40 }), (hands) => {
        // Each hand decided on some earlier state of the log, and appends at its end.
        const log: ModelVersion[] = [];
        for (const [i, { seen, version }] of hands.entries()) {
          const known = historyOf('late', log.slice(0, seen % (log.length + 1))).changes;
          const after = known.at(-1)?.id ?? '';
          const place = { format: 1, model: 'late', at: 0, id: `c${i}`, after, change: known.length + 1 };
          log.push({ ...change(version, 'candidate'), ...place });
        }
        const { changes, superseded } = historyOf('late', log);
        expect(changes.map((one) => one.change)).toEqual(changes.map((_, i) => i + 1));
        for (const [i, one] of changes.entries()) expect(one.after).toBe(changes[i - 1]?.id ?? '');
        expect(changes.length + superseded.length).toBe(log.length);
        // What counted goes on counting, whatever comes after it.
        for (let cut = 0; cut <= log.length; cut += 1) {
          const before = historyOf('late', log.slice(0, cut)).changes;
          expect(changes.slice(0, before.length)).toEqual(before);
        }
      }),
    );
  });
});

/**
 *            100        200      300
 *   v1  champion ........|  guard ..|  retired
 *   v2        | challenger | champion ........
 *   v3                               | challenger
 */
describe('the timeline', () => {
  const timeline = async () => timelineOf(await registry.history('late'));
  const at = async (time: number) => {
    const { champion, shadows } = stretchAt(await timeline(), time);
    return `${champion} | ${shadows.join(' ')}`;
  };

  it('tells for each moment of event time who answers and who is scored beside', async () => {
    expect(await at(0)).toBe('null | ');
    await append(change(1, 'champion'));
    await append(change(2, 'challenger', { effectiveFrom: 100 }));
    await append(change(2, 'champion', { former: 'challenger', effectiveFrom: 200 }));
    await append(change(1, 'retired', { effectiveFrom: 300 }));
    await append(change(3, 'challenger', { effectiveFrom: 300 }));
    expect(await at(Number.MIN_SAFE_INTEGER)).toBe('1 | ');
    expect(await at(99)).toBe('1 | ');
    expect(await at(100)).toBe('1 | 2');
    expect(await at(199)).toBe('1 | 2');
    expect(await at(200)).toBe('2 | 1');
    expect(await at(300)).toBe('2 | 3');
    expect(await at(1e15)).toBe('2 | 3');
  });

  it('lets a later change win over an earlier one, and one without a time over all', async () => {
    await append(change(1, 'champion'));
    await append(change(2, 'champion', { former: 'retired', effectiveFrom: 200 }));
    await append(change(1, 'champion', { former: 'retired', effectiveFrom: 300 }));
    expect([await at(100), await at(250), await at(350)]).toEqual(['1 | ', '2 | ', '1 | ']);
    await append(change(3, 'champion', { former: 'challenger' }));
    expect([await at(100), await at(250), await at(350)]).toEqual(['3 | 1', '3 | 1', '3 | 1']);
  });

  it('ends a guard when its champion goes', async () => {
    await append(change(1, 'champion'));
    await append(change(2, 'champion', { former: 'challenger', effectiveFrom: 100 }));
    await append(change(3, 'champion', { former: 'challenger', effectiveFrom: 200 }));
    expect([await at(150), await at(250)]).toEqual(['2 | 1', '3 | 2']);
    expect(await states()).toBe('1 retired, 2 challenger, 3 champion');
    await append(change(2, 'champion', { former: 'retired', effectiveFrom: 300 }));
    expect(await at(350)).toBe('2 | ');
    expect(await states()).toBe('1 retired, 2 champion, 3 retired');
  });

  it('passes over a version that cannot score, for the champion before it', async () => {
    await append(change(1, 'champion'));
    await append(change(2, 'champion', { former: 'retired' }));
    const one = timelineOf(await registry.history('late'), (version) => version !== 2);
    expect(stretchAt(one, 5)).toMatchObject({ champion: 1, shadows: [] });
  });
});
