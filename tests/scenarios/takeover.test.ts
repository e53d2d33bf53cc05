import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { applyDeps } from '../../cli/commands/apply.ts';
import { loadProject } from '../../config/load.ts';
import { composeStreams } from '../../platform/compose.ts';
import { openTwins, type Platform } from '../../platform/platform.ts';
import { topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import { HOUR, MINUTE } from '../../schemas/time.ts';
import { applyProject } from '../../streams/apply/apply.ts';
import { audit } from '../../streams/audit/audit.ts';
import { backfillState } from '../../streams/history/backfill.ts';
import { type ReplayItem, replay } from '../../streams/replay/replay.ts';
import { runStreams } from '../../streams/runtime/supervise.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { silentTelemetry } from '../infrastructure/telemetry/silent.ts';
import { type Definition, editedIn } from '../simulation/definitions.ts';
import { seeded } from '../simulation/random.ts';
import { trips } from '../simulation/trips.ts';
import { difference } from '../simulation/truth.ts';

const STREAMS = ['ingest', 'features', 'inference', 'archive'] as const;

/** The whole path in this process, in real time, with no model: a request is answered with its vector alone. */
describe('a changed view, built from the archive beside the one before', () => {
  const before = loadProject(fileURLToPath(new URL('../simulation/project', import.meta.url)), {
    environment: {},
  });
  let after: Definition;
  let directory: string;
  let platform: Platform;
  let items: readonly ReplayItem[];
  const notes: string[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-takeover-'));
    after = editedIn(join(directory, 'project'), 'views/line.yaml', (text) =>
      text.replace('of: price > 50', 'of: price > 40'),
    );
    platform = await openTwins(before, { artefacts: directory });
    items = trips({
      random: seeded(7),
      start: Date.now() - 24 * HOUR,
      trips: 400,
      everyMs: 60_000,
      quietMs: 0,
      cars: 40,
    });
  });

  afterAll(async () => {
    await platform?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const depsOf = async (project: Project) => {
    const { kafka, store, warehouse, artefacts, clock } = platform;
    const telemetry = {
      ...silentTelemetry,
      note: (stream: string, what: string) => void notes.push(`${stream}: ${what}`),
    };
    return { project, kafka, store, warehouse, artefacts, clock, codecs: await platform.codecs(), telemetry };
  };

  async function run(project: Project): Promise<() => Promise<void>> {
    const composed = await composeStreams(await depsOf(project), STREAMS);
    const abort = new AbortController();
    const running = runStreams(composed.streams, abort.signal);
    return async () => {
      abort.abort();
      await running;
      await composed.close();
    };
  }

  async function play(project: Project, part: readonly ReplayItem[], name: string): Promise<void> {
    const deps = await depsOf(project);
    const batches = (async function* () {
      yield part;
    })();
    const signal = new AbortController().signal;
    const speed = Number.POSITIVE_INFINITY;
    await replay(deps, { source: 'trips', name, items: batches, speed, signal, waitLimitMs: 20_000 });
  }

  const archived = async (project: Project) => {
    const { kafka, warehouse, store } = platform;
    const codecs = await platform.codecs();
    await vi.waitFor(
      async () => expect((await audit({ project, kafka, warehouse, codecs, store })).findings).toEqual([]),
      { timeout: 20_000, interval: 200 },
    );
  };

  async function answers(definitions: readonly Definition[]) {
    const { kafka } = platform;
    const codecs = await platform.codecs();
    const { prefix } = before;
    const validated = codecs.validated('trips');
    const accepted = (await readTails(kafka, topics.validated(prefix, 'trips'), 1e9)).flatMap(
      (tail, partition) =>
        tail.flatMap(({ value }) =>
          value === null ? [] : [{ ...validated.decode(value), partition, source: 'trips' }],
        ),
    );
    const requests = new Map(accepted.map((one) => [one.event.id, one]));
    const predictions = (await readTails(kafka, topics.predictions(prefix, 'cost'), 1e9)).flatMap((tail) =>
      tail.flatMap(({ value }) => (value === null ? [] : [codecs.predictions.decode(value)])),
    );
    const asked = accepted.filter(({ event }) => event.type === 'trip.started');
    expect(new Set(predictions.map(({ id }) => id)).size).toBe(predictions.length);
    expect(predictions.length).toBe(asked.length);
    return predictions.map((prediction) => {
      const request = requests.get(prediction.requestId) ?? expect.fail(prediction.requestId);
      expect(prediction.reason).toBe('no_model');
      for (const { head, asOf } of prediction.reads) expect(asOf).toBe(head);
      const of = definitions.findIndex(({ project }) =>
        prediction.reads.every(({ view }) => project.views.some(({ id }) => id === view)),
      );
      const definition =
        definitions[of] ?? expect.fail(`${prediction.requestId} reads views of two definitions`);
      expect(difference(definition, accepted, [], prediction, request)).toBeNull();
      return { of, time: prediction.requestTime };
    });
  }

  it('leaves the one before answering until its state is there, then answers exactly', {
    timeout: 90_000,
  }, async () => {
    const model = before.models[0] ?? expect.fail('no model');
    const begin = items[0]?.time ?? 0;
    const cuts = [begin + 3 * HOUR, begin + 3 * HOUR + 30 * MINUTE];
    const part = (from: number, to: number) => items.filter(({ time }) => time >= from && time < to);

    await applyProject(applyDeps(before, platform));
    let stop = await run(before);
    await play(before, part(begin, cuts[0] ?? 0), 'first');
    await archived(before);
    await stop();

    const changes = await applyProject(applyDeps(after.project, platform));
    expect(changes.find(({ kind }) => kind === 'definition')?.detail).toMatch(/^view line in a new version/);
    stop = await run(after.project);
    expect(notes).toContain('run: takes over');
    await play(after.project, part(cuts[0] ?? 0, cuts[1] ?? 0), 'second');
    await archived(after.project);
    expect(notes).not.toContain('inference cost: took over');

    const { kafka, store, warehouse } = platform;
    const views = after.project.views.filter(({ name }) => name === 'line');
    const codecs = await platform.codecs();
    const build = { project: after.project, kafka, store, warehouse, codecs, views, to: cuts[1] ?? 0 };
    await expect(backfillState(build)).rejects.toThrow(/holds a live state/);
    await backfillState({ ...build, replace: true, whole: true });
    await vi.waitFor(() => expect(notes).toContain('inference cost: took over'), { timeout: 20_000 });
    await play(after.project, part(cuts[1] ?? 0, Number.POSITIVE_INFINITY), 'third');
    await archived(after.project);
    await stop();

    const told = await answers([{ project: before, model }, after]);
    expect(told.filter(({ of, time }) => of !== (time < (cuts[1] ?? 0) ? 0 : 1))).toEqual([]);
    expect(told.filter(({ of }) => of === 1).length).toBeGreaterThan(100);
  });
});
