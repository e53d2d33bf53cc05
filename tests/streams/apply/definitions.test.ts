import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { wallClock } from '../../../platform/platform.ts';
import { applyProject, planProject } from '../../../streams/apply/apply.ts';
import { declaredDefinition, loadDefinition, readDefinitions } from '../../../streams/apply/definitions.ts';
import { root } from '../../architecture/sources.ts';

describe('definitions that were applied', () => {
  const kafka = createMemoryBroker(wallClock).kafka();
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-definitions-'));
    cpSync(join(root, 'config'), directory, { recursive: true, filter: (path) => !path.endsWith('.ts') });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const load = () => loadProject(directory, { environment: {}, prefix: 'kept', partitions: 8 });
  const deps = (project = load()) => ({ project, kafka, declared: [declaredDefinition({ project, kafka })] });
  const planned = async () => (await planProject(deps())).find(({ kind }) => kind === 'definition');

  it('are kept once, and are the same project when they are loaded again', async () => {
    expect(await planned()).toMatchObject({ action: 'create', detail: 'the first' });
    await applyProject(deps());
    await applyProject(deps());
    const kept = await readDefinitions(deps());
    expect(kept).toHaveLength(1);
    expect(Object.keys(kept[0]?.files ?? {})).toContain('views/route.yaml');
    expect(Object.keys(kept[0]?.files ?? {})).not.toContain('connections.yaml');
    const again = loadDefinition(kept[0] ?? expect.fail('nothing was kept'), load());
    expect(again?.views.map(({ id, partitions }) => [id, partitions])).toEqual(
      load().views.map(({ id, partitions }) => [id, partitions]),
    );
    expect(again?.models.map(({ layoutHash }) => layoutHash)).toEqual(
      load().models.map(({ layoutHash }) => layoutHash),
    );
  });

  it('say which views change, and stand in the order in which they were applied', async () => {
    const first = load();
    const path = join(directory, 'views/route.yaml');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('delay > 15', 'delay > 20'));
    expect((await planned())?.detail).toMatch(/^view route in a new version: the one before goes on/);
    const second = load();
    await applyProject(deps(second));
    writeFileSync(path, text);
    await applyProject(deps());
    const kept = await readDefinitions(deps());
    expect(kept.map(({ hash }) => hash)).toEqual([first.hash, second.hash, first.hash]);
  });
});
