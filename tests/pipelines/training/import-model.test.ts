import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../../config/load.ts';
import { createArtefactDirectory } from '../../../infrastructure/artefacts/directory.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { createModelRegistry, type ModelRegistry } from '../../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../../models/artefact.ts';
import { modelCard } from '../../../models/card.ts';
import { OnnxError } from '../../../models/onnx/protobuf.ts';
import { createScorer } from '../../../models/scorer.ts';
import { type ImportModelOptions, importModel } from '../../../pipelines/training/import-model.ts';
import { layoutHash } from '../../../schemas/layout.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import { applyProject } from '../../../streams/apply/apply.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';

const FEATURES = ['a', 'b', 'c', 'd', 'e'];
const fixture = (file: string) =>
  readFileSync(new URL(`../../models/fixtures/onnx/${file}`, import.meta.url));
const artefacts = createArtefactDirectory(mkdtempSync(join(tmpdir(), 'millrace-artefacts-')));

let project: Project;
let model: Model;
let registry: ModelRegistry;
let options: ImportModelOptions;

beforeAll(async () => {
  project = loadProject('config', { environment: {}, prefix: 'import-model-test' });
  const [first] = project.models;
  if (first === undefined) throw new Error('the project declares a model');
  const features = FEATURES.map((name) => ({
    kind: 'on_demand' as const,
    name,
    expression: null,
    evaluate: () => null,
  }));
  model = { ...first, features, layoutHash: layoutHash(features) };
  const kafka = createMemoryBroker({ now: Date.now, sleep: async () => {} }).kafka();
  await applyProject({ project, kafka, declared: [] });
  const { models: codec } = await openCodecs(project, createMemoryRegistry());
  registry = createModelRegistry({ kafka, codec, prefix: project.prefix });
  options = {
    project,
    model,
    onnx: fixture('xgboost.onnx'),
    examples: fixture('xgboost.jsonl').toString('utf8'),
    artefacts,
    registry,
    by: 'test',
    codeVersion: 'test',
  };
});

describe('a model trained elsewhere', () => {
  it('becomes a candidate that scores as it did there, and says where it comes from', async () => {
    const { version, address, imported } = await importModel(options);
    expect(version).toMatchObject({ version: 1, state: 'candidate', artefact: address });
    expect(version.registered.reason).toContain('imported from ONNX by OnnxMLTools 1.16.0, checked on 60');
    expect(JSON.parse(version.registered.evidence)).toMatchObject({ examples: 60 });
    expect(imported.difference).toBeLessThan(1e-6);
    const artefact = parseArtefact(await artefacts.get(address), address);
    const scorer = createScorer(artefact, model.layoutHash);
    for (const line of options.examples.trim().split('\n')) {
      const { vector, score } = JSON.parse(line);
      const row = Float64Array.from(vector as (number | null)[], (value) => value ?? Number.NaN);
      expect(Math.abs(scorer.score(row) - score)).toBeLessThan(1e-6);
    }
    const card = modelCard(artefact, address);
    expect(card).toContain('trained elsewhere and imported');
    expect(card).not.toContain('1970');
  });

  it('is the same artefact when it is imported again', async () => {
    const [first] = await registry.list(model.name);
    const { version, address } = await importModel(options);
    expect(version.version).toBe(2);
    expect(address).toBe(first?.artefact);
  });

  it('may name the features of its examples, in any order', async () => {
    const named = options.examples
      .trim()
      .split('\n')
      .map((line) => {
        const { vector, score } = JSON.parse(line) as { vector: (number | null)[]; score: number };
        const cells = vector
          .map((value, at) => [FEATURES[at], value] as const)
          .filter(([, value]) => value !== null);
        return { vector: Object.fromEntries(cells.reverse()), score };
      });
    const { address } = await importModel({ ...options, examples: JSON.stringify(named, null, 1) });
    expect(address).toBe((await registry.list(model.name))[0]?.artefact);
  });

  it.each([
    ['no example', '', 'at least 10 recorded examples, not on 0'],
    ['a line that is not JSON', 'score', 'Example 1 is not JSON'],
    ['no vector', '{"score": 0.5}', 'Example 1 has no vector'],
    ['no score', '{"vector": [1]}', 'Example 1 has no score'],
    ['a text in a vector', '{"vector": [1, "x"], "score": 0.5}', 'Example 1 has the value "x" for b'],
    ['an unknown feature', '{"vector": {"f": 1}, "score": 0.5}', 'Example 1 names "f", which is no feature'],
  ])('is refused in a sentence, and nothing is registered: %s', async (_, examples, sentence) => {
    const before = await registry.list(model.name);
    const work = importModel({ ...options, examples });
    await expect(work).rejects.toBeInstanceOf(OnnxError);
    await expect(work).rejects.toThrow(sentence);
    expect(await registry.list(model.name)).toEqual(before);
  });

  it('is refused with another model’s examples, and where it is no ONNX', async () => {
    const others = fixture('lightgbm.jsonl').toString('utf8');
    await expect(importModel({ ...options, examples: others })).rejects.toThrow(
      'they belong to different models',
    );
    await expect(importModel({ ...options, onnx: Buffer.from('hello') })).rejects.toThrow('no ONNX file');
  });
});
