import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { createMemoryArtefacts } from '../../infrastructure/memory/artefacts.ts';
import type { MemoryWarehouse } from '../../infrastructure/memory/warehouse.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { registerVersion } from '../../pipelines/rollout/moves.ts';
import { composeStreams } from '../../platform/compose.ts';
import type { Project } from '../../schemas/project.ts';
import { HOUR, MINUTE, SECOND } from '../../schemas/time.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { declaredDefinition } from '../../streams/apply/definitions.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { seeded } from './random.ts';
import { trips } from './trips.ts';
import { artefactFor } from './versions.ts';
import { World } from './world.ts';

const LOCAL = fileURLToPath(new URL('./local', import.meta.url));
const NO_WAREHOUSE = {} as MemoryWarehouse;

/** The local project as it was before a change of its views. */
function before(change: (view: string) => string): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-before-'));
  cpSync(LOCAL, directory, { recursive: true });
  for (const view of ['car', 'done']) {
    const path = join(directory, 'views', `${view}.yaml`);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  }
  return directory;
}

const BEFORE: ReadonlyArray<readonly [name: string, change: (view: string) => string]> = [
  ['views that become local', (view) => view.replace('local: true\n', '')],
  ['local views that change', (view) => view.replace('of: price > 50', 'of: price > 40')],
];

/** The streams as `millrace run` composes them, on the twins of a world. */
async function startStreams(world: World, project: Project, artefact: Uint8Array) {
  const artefacts = createMemoryArtefacts();
  await artefacts.put(artefact);
  const failures: Error[] = [];
  const kafka = world.broker.kafka();
  const composed = await composeStreams(
    {
      project,
      kafka,
      store: world.store,
      warehouse: NO_WAREHOUSE,
      codecs: world.codecs,
      artefacts,
      clock: world.clock,
      telemetry: {
        ...SILENT,
        failure: (_, error) => void failures.push(error),
      },
    },
    ['ingest', 'features', 'inference'],
  );
  const stop = new AbortController();
  const done = Promise.all(composed.streams.map((stream) => stream.run(stop.signal)));
  done.catch((error: unknown) => failures.push(error as Error));
  return {
    failures,
    async stop() {
      stop.abort();
      await done;
      await composed.close();
    },
  };
}

/**
 *   views before   ████████████████████████▒▒▒▒▒▒
 *   local views            ░░░░░░░░░░░░░████████   ░ their windows reach back of what they were told
 *   answers        inference, before ───┤ ingest ─
 */
it.for(BEFORE)(
  '%s take over, and every request is answered once',
  { timeout: 180_000 },
  async ([, change]) => {
    const directory = before(change);
    const world = await World.create({
      directory,
      step: async (operation, clock) => {
        if (operation !== 'poll') await clock.sleep(1);
      },
    });
    const until = async (work: Promise<unknown>) => {
      let ended = false;
      void work.finally(() => {
        ended = true;
      });
      expect(await world.clock.runUntil(() => ended, 10 * MINUTE)).toBe(true);
      await work;
    };
    const local = loadProject(LOCAL, { environment: {}, prefix: world.project.prefix });
    const { address, bytes, layout } = artefactFor(world.model, 1);
    const registry = createModelRegistry({
      kafka: world.broker.kafka(),
      codec: world.codecs.models,
      prefix: world.project.prefix,
    });
    const kafka = world.broker.kafka();
    const admin = await kafka.admin();
    await admin.createTopics([...topicSpecs(world.project), ...topicSpecs(local)]);
    const made = {
      model: world.model.name,
      artefact: address,
      location: '',
      layout,
      as: 'champion' as const,
    };
    await until(registerVersion(registry, made, { by: 'test', reason: 'test', effectiveFrom: null }));
    await until(declaredDefinition({ project: world.project, kafka }).apply());

    const items = trips({
      random: seeded(3),
      start: world.clock.now() - 24 * HOUR,
      trips: 450,
      everyMs: 180 * SECOND,
      quietMs: 0,
      cars: 20,
    });
    const quarter = Math.ceil(items.length / 4);
    const run = async (project: Project, part: typeof items) => {
      const starting = startStreams(world, project, bytes);
      await until(starting);
      const streams = await starting;
      await until(world.replay(part, project.views.map(({ id }) => id).join(' '), 3_600));
      await until(streams.stop());
      return streams;
    };
    const first = await run(world.project, items.slice(0, quarter));
    await until(declaredDefinition({ project: local, kafka }).apply());
    const second = await run(local, items.slice(quarter));
    rmSync(directory, { recursive: true, force: true });

    expect([...first.failures, ...second.failures].map(String)).toEqual([]);
    const accepted = await world.accepted();
    const requests = accepted.filter(({ event }) => event.type === 'trip.started');
    const { first: answers, repeats } = await world.predictions();
    const views = new Map(
      [world.project, local].map((project) => [project, project.views.map(({ id }) => id)]),
    );
    const by = (project: Project) =>
      answers.filter(({ reads }) => reads.every(({ view }) => views.get(project)?.includes(view)));
    expect(by(local).length).toBeGreaterThan(30);
    expect([answers.length, repeats]).toEqual([requests.length, 0]);
  },
);
