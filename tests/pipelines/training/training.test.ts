import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createArtefactDirectory } from '../../../infrastructure/artefacts/directory.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createModelRegistry } from '../../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../../models/artefact.ts';
import { createScorer } from '../../../models/scorer.ts';
import { buildDataSets } from '../../../pipelines/training/dataset.ts';
import { evaluateModel } from '../../../pipelines/training/evaluate.ts';
import { readRun, readRuns } from '../../../pipelines/training/runs-read.ts';
import {
  NothingToLearn,
  type TrainOptions,
  type TrainProgress,
  trainModel,
} from '../../../pipelines/training/training.ts';
import { backfillRange, basisOf } from '../../../pipelines/training/vectors.ts';
import { tables } from '../../../schemas/names.ts';
import { DAY } from '../../../schemas/time.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { type FlightsArchive, flightsArchive } from '../../streams/history/history-fixture.ts';

const FROM = Date.UTC(2001, 2, 1);
const TO = FROM + 6 * DAY;

let archive: FlightsArchive;
let options: TrainOptions;
const seen: TrainProgress[] = [];
beforeAll(async () => {
  archive = await flightsArchive(FROM, TO);
  const { project, warehouse } = archive;
  const model = {
    ...archive.model,
    trainer: { ...archive.model.trainer, parameters: { hidden: [8], epochs: 2, batchSize: 64 } },
    sample: { maxRows: 1_500, seed: 3 },
  };
  const kafka = createMemoryBroker({ now: Date.now, sleep: async () => {} }).kafka();
  await applyProject({ project, kafka, declared: [] });
  const codecs = await openCodecs(project, createMemoryRegistry());
  let time = 0;
  options = {
    project,
    model,
    warehouse,
    artefacts: createArtefactDirectory(mkdtempSync(join(tmpdir(), 'millrace-artefacts-'))),
    registry: createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix }),
    from: FROM + 2 * DAY,
    to: TO,
    asOf: null,
    as: 'auto',
    by: 'test',
    codeVersion: 'test',
    now: () => (time += 1_000),
    progress: (done) => seen.push(done),
  };
});
afterAll(() => archive.warehouse.close());

describe('training', () => {
  it('goes from the archive to a registered artefact that scores, and tells of every step', async () => {
    const { run, version, dataSet, fitted } = await trainModel(options);
    expect(version).toMatchObject({ model: options.model.name, version: 1, state: 'champion' });
    expect(dataSet).toMatchObject({ rows: 1_500, logged: 0, backfilled: 1_500 });
    expect(new Set(seen.map(({ step }) => step))).toEqual(
      new Set(['labels', 'logged', 'vectors', 'backend', 'epoch']),
    );
    const bytes = await (options.artefacts as ReturnType<typeof createArtefactDirectory>).get(
      version.artefact,
    );
    const artefact = parseArtefact(bytes, version.artefact);
    expect(artefact.manifest.dataset).toMatchObject({
      hash: dataSet.hash,
      rows: 1_500,
      backfilledRows: 1_500,
    });
    const score = createScorer(artefact).score(
      new Float64Array(options.model.features.length).fill(Number.NaN),
    );
    expect(score).toBeGreaterThan(0);
    expect(score).toBeLessThan(1);
    expect(fitted.validation.model.rows).toBe(fitted.trained.split.validationRows);
    const runs = await readRuns(archive.warehouse, archive.project.prefix, {});
    expect(runs).toMatchObject([
      { id: run, kind: 'train', state: 'done', artefact: version.artefact, dataset: dataSet.hash },
    ]);
    const kept = await readRun(archive.warehouse, archive.project.prefix, run);
    expect(kept?.parameters).toMatchObject({ epochs: 2, hidden: [8] });
    expect(kept?.environment).toMatchObject({ node: process.version });
    expect(kept?.resources.cpuMs).toBeGreaterThan(0);
    const losses = kept?.metrics.filter(({ metric }) => metric === 'validation_log_loss') ?? [];
    expect(losses.map(({ step }) => step)).toEqual([0, 1, 2]);
    const [reference] = await archive.warehouse.query<{ n: number; versions: number[] }>(
      `SELECT count() AS n, groupUniqArray(version) AS versions FROM ${tables.references(archive.project.prefix, options.model.name)} FINAL`,
    );
    expect(reference?.versions).toEqual([1]);
    expect(reference?.n).toBeGreaterThan(100);
  });

  it('gives the same bytes for the same rows, and a candidate where there is a champion', async () => {
    const { version } = await trainModel(options);
    const [first] = await options.registry.list(options.model.name);
    expect(version).toMatchObject({ version: 2, state: 'candidate', artefact: first?.artefact });
    const third = await trainModel({ ...options, as: 'champion' });
    const versions = await options.registry.list(options.model.name);
    expect(versions.map(({ state }) => state)).toEqual(['retired', 'candidate', 'champion']);
    const { champion } = await options.registry.history(options.model.name);
    expect(champion?.version).toBe(third.version.version);
  });

  it('does not begin what could not be registered, or has no time to learn from', async () => {
    const begun = seen.length;
    const away = { ...options.registry, history: () => Promise.reject(new Error('Kafka is away')) };
    await expect(trainModel({ ...options, registry: away })).rejects.toThrow('Kafka is away');
    await expect(trainModel({ ...options, from: TO, to: FROM })).rejects.toThrow('does not lie before');
    expect(seen.length).toBe(begun);
  });

  it('says what is missing where no label had matured', async () => {
    await expect(trainModel({ ...options, asOf: FROM })).rejects.toThrow(NothingToLearn);
    const [failed] = await readRuns(archive.warehouse, archive.project.prefix, { state: 'failed' });
    expect(failed).toMatchObject({ kind: 'train', error: expect.stringMatching(/there is no flight/) });
  });
});

describe('a data set', () => {
  it('is the same from kept vectors as from a pass over the archive', async () => {
    const { project, model, warehouse } = options;
    const selections = [{ from: FROM + 2 * DAY, to: TO, asOf: TO, sample: { maxRows: 400, seed: 3 } }];
    const build = async (of = project, asked = model) => {
      const steps: string[] = [];
      const [set] = await buildDataSets({
        project: of,
        model: asked,
        warehouse,
        selections,
        keep: true,
        progress: ({ step }) => steps.push(step),
      });
      return { set, passed: steps.includes('vectors') };
    };
    // Optional reads are other reads, which no training above has made vectors of.
    const optional = { ...model, reads: model.reads.map((read) => ({ ...read, optional: true })) };
    const made = await build(project, optional);
    expect(made.passed).toBe(true);
    const kept = await build(project, optional);
    expect(kept.passed).toBe(false);
    expect(kept.set?.rows).toEqual(made.set?.rows);
    expect(kept.set?.hash).toBe(made.set?.hash);
    // What vectors do not depend on makes none anew.
    const trainer = { name: 'trees' as const, parameters: { rounds: 3 } };
    const retrained = { ...optional, trainer, threshold: 0.9, sample: { ...model.sample, seed: 8 } };
    const other = await build({ ...project, hash: 'another trainer' }, retrained);
    expect(other.passed).toBe(false);
    expect(other.set?.rows).toEqual(made.set?.rows);
    const sources = project.sources.map((source) => ({ ...source, fields: source.fields.slice().reverse() }));
    expect((await build({ ...project, sources }, optional)).passed).toBe(true);
  });
});

describe('backfilled vectors of a range', () => {
  it('are a seeded sample of all requests, in memory and in a table', async () => {
    const { project, warehouse } = options;
    // Vectors kept by the trainings above rest on other reads.
    const reads = options.model.reads.map((read) => ({ ...read, defaults: { origin: 'none' } }));
    const model = { ...options.model, reads };
    const range = { project, model, warehouse, from: TO - DAY, to: TO };
    const some = await backfillRange({ ...range, sample: { maxRows: 50, seed: 9 }, persist: true });
    expect(some.ids).toHaveLength(50);
    const all = await backfillRange({ ...range, sample: null, persist: false });
    const width = model.features.length;
    for (const [i, id] of some.ids.entries()) {
      const at = all.ids.indexOf(id);
      expect(some.rows.slice(i * width, (i + 1) * width)).toEqual(
        all.rows.slice(at * width, (at + 1) * width),
      );
    }
    const [stored] = await warehouse.query<{ n: number; width: number; layouts: number }>(
      `SELECT count() AS n, max(length(vector)) AS width, uniqExact(layout) AS layouts FROM ${some.table} FINAL
       WHERE basis = '${await basisOf(warehouse, project, model)}'`,
    );
    expect(stored).toEqual({ n: 50, width, layouts: 1 });
  });
});

describe('an evaluation', () => {
  it('trains on one range, judges on a later one beside the baselines, and leaves no table behind', async () => {
    const { warehouse, file } = archive;
    const project = { ...archive.project, prefix: 'evaluation-test' };
    const report = await evaluateModel({
      project,
      model: options.model,
      warehouse,
      histories: [{ source: archive.source, file }],
      training: { from: FROM + 2 * DAY, to: TO - DAY },
      test: { from: TO - DAY, to: TO },
      testRows: null,
      codeVersion: 'test',
      now: () => 0,
    });
    expect(report.test.rows).toBeGreaterThan(300);
    const { model, baseRate, calendar } = report.evaluation;
    expect(model.rows).toBe(report.test.rows);
    expect(baseRate.rows).toBe(calendar.rows);
    expect(model.auc ?? 0).toBeGreaterThan(0.5);
    expect(report.fitted.artefact.manifest.metrics.test).toEqual(model);
    const left = await warehouse.query<{ name: string }>(
      `SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'evaluation_test')`,
    );
    expect(left).toEqual([]);
  });
});
