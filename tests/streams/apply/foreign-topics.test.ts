import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { wallClock } from '../../../platform/platform.ts';
import type { Project } from '../../../schemas/project.ts';
import { ApplyConflict, applyProject, planProject } from '../../../streams/apply/apply.ts';
import { declaredDefinition } from '../../../streams/apply/definitions.ts';
import { FILES } from '../../config/project.ts';

const TOPIC = 'erp.orders';

const home = mkdtempSync(join(tmpdir(), 'millrace-foreign-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let made = 0;
/** A project whose files stay, since what was applied is kept with them. */
function orders(topic: string, partitions = 2): Project {
  const directory = join(home, String(made++));
  const own = `topic: ${topic}\n    partitions: ${partitions}\n    format: {json: {id: id, type: type, time: {path: at, unit: iso}}}`;
  for (const [file, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text.replace('partitions: 2', own));
  }
  return loadProject(directory, { environment: {} });
}

describe('apply, of a source that reads a topic of a team', () => {
  let broker: MemoryBroker;
  const topicsNow = async () => {
    const admin = await broker.kafka().admin();
    return Object.fromEntries((await admin.topics()).map(({ name, partitions }) => [name, partitions]));
  };
  const make = async (name: string, partitions: number) => {
    const admin = await broker.kafka().admin();
    await admin.createTopics([{ name, partitions, retentionMs: 1000, compacted: false }]);
  };
  const deps = (project: Project) => {
    const kafka = broker.kafka();
    return { project, kafka, declared: [declaredDefinition({ project, kafka })] };
  };
  const changeOf = async (project: Project) =>
    (await planProject(deps(project))).filter(({ name }) => name.startsWith('erp.'));

  beforeEach(() => {
    broker = createMemoryBroker(wallClock);
  });

  it('makes all topics but that one, and says first that it is not there', async () => {
    const project = orders(TOPIC);
    const refused = applyProject(deps(project));
    await expect(refused).rejects.toThrow(ApplyConflict);
    await expect(refused).rejects.toThrow(
      "topic erp.orders: The source 'orders' reads it (`topic:`), and it is not there. Make it with the tools of its owner",
    );
    expect(await topicsNow()).toEqual({});
    await make(TOPIC, 2);
    expect(await changeOf(project)).toMatchObject([{ name: TOPIC, action: 'keep' }]);
    await applyProject(deps(project));
    const made = await topicsNow();
    expect(made[TOPIC]).toBe(2);
    expect(made['shop.orders.validated']).toBe(2);
    expect(made['shop.orders.raw']).toBeUndefined();
    expect((await planProject(deps(project))).filter(({ action }) => action !== 'keep')).toEqual([]);
  });

  it('never gives it partitions, and gives those that go with it as many as it has', async () => {
    await make(TOPIC, 2);
    await expect(applyProject(deps(orders(TOPIC, 3)))).rejects.toThrow(
      "It has 2 partitions and the source 'orders' declares 3. It is not changed; say `partitions: 2`.",
    );
    expect(await topicsNow()).toEqual({ [TOPIC]: 2 });
    const project = orders(TOPIC, 1);
    await applyProject(deps(project));
    const made = await topicsNow();
    expect([made[TOPIC], made['shop.orders.validated'], made['shop.predictions.returns']]).toEqual([2, 2, 2]);
  });

  it('tells that it is compacted, and leaves it', async () => {
    const admin = await broker.kafka().admin();
    await admin.createTopics([{ name: TOPIC, partitions: 2, retentionMs: 1000, compacted: true }]);
    const [change] = await changeOf(orders(TOPIC));
    expect(change).toMatchObject({ action: 'foreign' });
    expect(change?.detail).toContain('Kafka removes an event as soon as another of its key has come');
  });

  it('tells of producers’ times, and leaves them', async () => {
    broker.createTimeTopic(TOPIC, 2);
    const project = orders(TOPIC);
    const [change] = await changeOf(project);
    expect(change).toMatchObject({ action: 'foreign' });
    expect(change?.detail).toContain('--entity-name erp.orders --add-config');
    await applyProject(deps(project));
    expect(await (await broker.kafka().admin()).timestampTypes([TOPIC])).toEqual(['CreateTime']);
  });

  it('refuses another topic for a source that was applied: its places are counted by its topic', async () => {
    await make(TOPIC, 2);
    await make('erp.orders2', 2);
    await applyProject(deps(orders(TOPIC)));
    await expect(applyProject(deps(orders('erp.orders2')))).rejects.toThrow(
      /The source 'orders' reads erp\.orders, and would read erp\.orders2: .* Declare a source of another name for erp\.orders2, or start under another prefix\./,
    );
    await applyProject(deps(orders(TOPIC)));
  });
});
