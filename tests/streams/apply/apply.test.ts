import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { keys, topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import { DAY, HOUR } from '../../../schemas/time.ts';
import { ApplyConflict, applyProject, planProject, removeProject } from '../../../streams/apply/apply.ts';
import type { Declared } from '../../../streams/apply/change.ts';
import { TimestampsRefused } from '../../../streams/apply/timestamps.ts';

const project = {
  prefix: 'demo-test-1',
  connections: { kafka: { brokers: ['a:9092', 'b:9092'] } },
  sources: [{ name: 'flights', partitions: 3 }],
  views: [
    { id: 'origin@1a2b3c4d', partitions: 3, slack: 4 * HOUR, at: null, sets: [{ reach: 8 * DAY }] },
    { id: 'route@5e6f7a8b', partitions: 2, slack: 4 * HOUR, at: { field: 'd', maxDelay: HOUR }, sets: [] },
  ],
  models: [{ name: 'late', request: { source: 'flights' } }],
  retention: {
    raw: 7 * DAY,
    validated: 6 * DAY,
    predictions: 5 * DAY,
    deadLetters: 4 * DAY,
    viewExtra: 3 * DAY,
    stateExtra: DAY,
  },
} as unknown as Project;

let broker: ReturnType<typeof createMemoryBroker>;
let kafka: ReturnType<ReturnType<typeof createMemoryBroker>['kafka']>;
let store: ReturnType<typeof createMemoryStore>;

beforeEach(() => {
  const clock = { now: Date.now, sleep: async () => {} };
  broker = createMemoryBroker(clock);
  kafka = broker.kafka();
  store = createMemoryStore();
});

/** A registry of one schema, and how often it was written. */
function oneSchema(): Declared & { applied: number } {
  const part: Declared & { applied: number } = {
    kind: 'schema',
    applied: 0,
    plan: async () => [
      { kind: 'schema', name: 's', action: part.applied > 0 ? 'keep' : 'create', detail: '' } as const,
    ],
    apply: async () => {
      part.applied += 1;
    },
  };
  return part;
}

const partitionsByTopic = async () => {
  const admin = await kafka.admin();
  return Object.fromEntries((await admin.topics()).map(({ name, partitions }) => [name, partitions]));
};

describe('apply', () => {
  it('makes raw, validated, dead-letter and predictions topics alike, and one topic a view', async () => {
    await applyProject({ project, kafka, declared: [] });
    expect(await partitionsByTopic()).toEqual({
      'demo-test-1.flights.raw': 3,
      'demo-test-1.flights.validated': 3,
      'demo-test-1.flights.dead-letters': 3,
      'demo-test-1.view.origin.v1a2b3c4d': 3,
      'demo-test-1.view.route.v5e6f7a8b': 2,
      'demo-test-1.predictions.late': 3,
      'demo-test-1.shadow.late': 3,
      'demo-test-1.asked.late': 3,
      'demo-test-1.alerts': 1,
      'demo-test-1.models': 1,
      'demo-test-1.definitions': 1,
    });
  });

  it('shows first what it would do, and a second time there is nothing left to do', async () => {
    const part = oneSchema();
    const deps = { project, kafka, declared: [part] };
    const planned = await planProject(deps);
    expect(planned.every(({ action }) => action === 'create')).toBe(true);
    expect(await partitionsByTopic()).toEqual({});
    expect(part.applied).toBe(0);

    expect(await applyProject(deps)).toEqual(planned);
    const again = await applyProject(deps);
    expect(again.filter(({ action }) => action !== 'keep')).toEqual([]);
  });

  it('refuses other partitions of a view than its topic has, and then changes nothing at all', async () => {
    const admin = await kafka.admin();
    const [view] = project.views;
    const name = topics.view(project.prefix, view?.id ?? '');
    await admin.createTopics([{ name, partitions: 8, retentionMs: DAY, compacted: false }]);
    const part = oneSchema();
    await expect(applyProject({ project, kafka, declared: [part] })).rejects.toThrow(ApplyConflict);
    expect(await partitionsByTopic()).toEqual({ [name]: 8 });
    expect(part.applied).toBe(0);
  });

  it('gives the topics that go with a raw topic as many partitions as that has, and a raw topic as many as are declared', async () => {
    await applyProject({ project, kafka, declared: [] });
    const admin = await kafka.admin();
    const { prefix } = project;
    const declared = project.sources[0]?.partitions ?? 0;
    const own = [topics.raw, topics.validated, topics.deadLetters].map((name) => name(prefix, 'flights'));
    const followers = [topics.predictions, topics.shadow, topics.asked].map((name) => name(prefix, 'late'));
    await admin.addPartitions([{ name: own[0] ?? '', partitions: declared + 2 }]);
    const before = await partitionsByTopic();
    const planned = await planProject({ project, kafka, declared: [] });
    expect(planned.flatMap(({ name, action }) => (action === 'update' ? [name] : []))).toEqual([
      ...own.slice(1),
      ...followers,
    ]);
    await applyProject({ project, kafka, declared: [] });
    const grown = Object.fromEntries([...own, ...followers].map((name) => [name, declared + 2]));
    expect(await partitionsByTopic()).toEqual({ ...before, ...grown });
    const more = {
      ...project,
      sources: project.sources.map((one) => ({ ...one, partitions: declared + 3 })),
    };
    await applyProject({ project: more, kafka, declared: [] });
    expect((await partitionsByTopic())[own[0] ?? '']).toBe(declared + 3);
  });
});

describe('a topic that somebody made before, compacted', () => {
  it('is refused where events would be lost, and nothing is made', async () => {
    const raw = topics.raw(project.prefix, 'flights');
    const partitions = project.sources[0]?.partitions ?? 0;
    await (await kafka.admin()).createTopics([{ name: raw, partitions, retentionMs: -1, compacted: true }]);
    await expect(applyProject({ project, kafka, declared: [] })).rejects.toThrow(
      `Nothing was changed: topic ${raw}: It is compacted (cleanup.policy)`,
    );
    expect(await (await kafka.admin()).topics()).toHaveLength(1);
  });
});

describe('a topic that somebody made before, with CreateTime', () => {
  const raw = topics.raw(project.prefix, 'flights');
  const planned = async () =>
    (await planProject({ project, kafka, declared: [] })).find(({ name }) => name === raw);
  const typeOf = async () => (await (await kafka.admin()).timestampTypes([raw]))[0];

  it('is shown by a dry run, and set right by apply', async () => {
    broker.createTimeTopic(raw, 3);
    expect(await planned()).toEqual({
      kind: 'topic',
      name: raw,
      action: 'update',
      detail:
        "message.timestamp.type CreateTime becomes LogAppendTime: an event's time counts no further than its arrival, which only the broker's clock can tell",
    });
    expect(await typeOf()).toBe('CreateTime');
    const changes = await applyProject({ project, kafka, declared: [] });
    expect(changes.find(({ name }) => name === raw)).toMatchObject({ action: 'update' });
    expect(await typeOf()).toBe('LogAppendTime');
    expect(await planned()).toMatchObject({ action: 'keep' });
  });

  it('says that the records it holds already keep their times', async () => {
    broker.createTimeTopic(raw, 3);
    broker.appendAt([{ topic: raw, partition: 1, key: null, value: new Uint8Array([1]) }], 1);
    expect((await planned())?.detail).toMatch(/the 1 offsets it holds already keep their producers' times/);
  });

  it('that may not be changed ends apply with the command, and nothing is made', async () => {
    broker.createTimeTopic(raw, 3, 'read');
    const part = oneSchema();
    const error = await applyProject({ project, kafka, declared: [part] }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TimestampsRefused);
    expect(error).toMatchObject({ code: 'timestamps_refused', retriable: false });
    expect((error as Error).message).toContain(
      `\nkafka-configs.sh --bootstrap-server a:9092,b:9092 --alter --entity-type topics --entity-name ${raw} --add-config message.timestamp.type=LogAppendTime`,
    );
    expect(await partitionsByTopic()).toEqual({ [raw]: 3 });
    expect(part.applied).toBe(0);
  });

  it('whose settings may not be read is named with the command, and stands in nobody’s way', async () => {
    broker.createTimeTopic(raw, 3, 'none');
    const changes = await applyProject({ project, kafka, declared: [] });
    const change = changes.find(({ name }) => name === raw);
    expect(change).toMatchObject({ action: 'unknown' });
    expect(change?.detail).toContain(`--entity-name ${raw} --add-config`);
    expect(Object.keys(await partitionsByTopic())).toHaveLength(11);
  });
});

describe('removing a project', () => {
  const noSchemas = { removeSchemas: async () => 0, removeTables: async () => 0 };

  it('takes what carries the prefix and nothing else', async () => {
    const other = { ...project, prefix: 'demo-test-12' };
    await applyProject({ project, kafka, declared: [] });
    await applyProject({ project: other, kafka, declared: [] });
    const key = (prefix: string, n: number) => keys.meta(keys.viewPartition(prefix, 'origin@1a2b3c4d', n));
    for (const prefix of [project.prefix, other.prefix])
      for (let n = 0; n < 3; n++)
        await store.commit([
          {
            metaKey: key(prefix, n),
            expected: null,
            next: new Uint8Array([1]),
            sets: [],
            appends: [],
            deletes: [],
            logTtlMs: DAY,
            metaTtlMs: DAY,
          },
        ]);
    const removed = await removeProject(project.prefix, project.prefix, { kafka, store, ...noSchemas });
    expect(removed).toMatchObject({ topics: 11, keys: 3 });
    expect(Object.keys(await partitionsByTopic()).every((name) => name.startsWith('demo-test-12.'))).toBe(
      true,
    );
    expect((await store.read([[key(other.prefix, 0)]]))[0]?.[0]).not.toBeNull();
  });

  it('refuses a prefix the caller did not make, and one so short that it may be anybody’s', async () => {
    await applyProject({ project, kafka, declared: [] });
    for (const [prefix, own] of [
      ['demo-test-1', 'demo-test-2'],
      ['', ''],
      ['a', 'a'],
      ['demo.*', 'demo.*'],
    ] as const)
      await expect(removeProject(prefix, own, { kafka, store, ...noSchemas })).rejects.toThrow(ApplyConflict);
    expect(Object.keys(await partitionsByTopic())).toHaveLength(11);
  });
});
