import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ModelRegistry } from '../../../infrastructure/registry/models.ts';
import { addressOf, parseArtefact, serialiseArtefact } from '../../../models/artefact.ts';
import { createRandom } from '../../../models/random.ts';
import { createScorer } from '../../../models/scorer.ts';
import { guardChampion, lookAtGuard } from '../../../pipelines/rollout/guard.ts';
import type { RolloutDeps } from '../../../pipelines/rollout/judged.ts';
import {
  promote,
  registerVersion,
  retire,
  rollBack,
  toChallenger,
} from '../../../pipelines/rollout/moves.ts';
import { judgeCandidate } from '../../../pipelines/rollout/offline-gate.ts';
import { decideShadow, lookAtShadow } from '../../../pipelines/rollout/shadow.ts';
import { shadowLooks } from '../../../pipelines/rollout/shadow-looks.ts';
import type { Model } from '../../../schemas/project.ts';
import { DAY, HOUR } from '../../../schemas/time.ts';
import { explain } from '../../../streams/explain/explain.ts';
import { artefactFor } from '../../simulation/versions.ts';
import { BEGIN, DAYS, type RolloutArchive, rolloutArchive } from './rollout-archive.ts';

let archive: RolloutArchive;
let registry: ModelRegistry;
let deps: RolloutDeps;
let model: Model;
beforeAll(async () => {
  archive = await rolloutArchive();
  const { shadow, guard } = archive.model.rollout;
  model = {
    ...archive.model,
    rollout: {
      ...archive.model.rollout,
      shadow: { ...shadow, block: HOUR, maxDuration: 12 * DAY },
      guard: { ...guard, duration: 5 * DAY },
    },
  };
});
afterAll(() => archive.warehouse.close());
beforeEach(async () => {
  registry = await archive.registry();
  deps = { project: archive.project, warehouse: archive.warehouse, registry };
  await archive.clear();
});

const made = (as: 'champion' | 'challenger' | 'candidate') => ({
  model: model.name,
  artefact: '0'.repeat(64),
  location: '',
  layout: model.layoutHash,
  as,
});
const by = (reason: string, effectiveFrom: number | null = null) => ({ by: 'test', reason, effectiveFrom });
const START = BEGIN + DAY;
const END = BEGIN + DAYS * DAY;
const ask = (upTo: number) => ({ model, upTo, by: 'test', run: 'r1', latency: 2 * HOUR });

async function inShadow(): Promise<void> {
  await registerVersion(registry, made('champion'), by('first'));
  await registerVersion(registry, made('challenger'), by('trained', START));
}

describe('the shadow test on the archive', () => {
  it('watches, then promotes a challenger that is better; the same whenever it is asked for the same time', async () => {
    await inShadow();
    await archive.score('predictions', 1, 'good');
    await archive.score('shadow', 2, 'best', { from: START });
    const looks = [];
    for (let upTo = START + 2 * DAY; upTo <= END; upTo += DAY)
      looks.push(await lookAtShadow(deps, { model, version: 2, upTo }));
    const at = looks.findIndex(({ decision }) => decision === 'promote');
    expect(at).toBeGreaterThan(1);
    expect(looks.slice(0, at).every(({ decision }) => decision === 'watch')).toBe(true);
    // Once decided, later looks find the same block.
    for (const later of looks.slice(at)) expect(later.verdict).toEqual(looks[at]?.verdict);
    expect(looks[at]?.verdict?.gain.value).toBeGreaterThan(0.005);

    const upTo = START + (2 + at) * DAY;
    expect((await decideShadow(deps, { ...ask(upTo - DAY), version: 2 })).decision).toBe('watch');
    expect(await registry.log()).toHaveLength(2);
    const decided = await decideShadow(deps, { ...ask(upTo), version: 2 });
    expect(decided).toMatchObject({
      decision: 'promote',
      champion: 1,
      sentence: expect.stringMatching(/^Promote: over [\d,]+ requests/),
      change: {
        version: 2,
        state: 'champion',
        former: 'challenger',
        effectiveFrom: upTo + 2 * HOUR,
        run: 'r1',
      },
    });
    expect(JSON.parse(decided.change?.evidence ?? '')).toMatchObject({
      test: 'shadow',
      champion: 1,
      upTo,
      code: 'better',
    });
    const again = await decideShadow(deps, { ...ask(upTo), version: 2 });
    expect(again).toMatchObject({
      decision: 'promote',
      sentence: decided.sentence,
      change: { id: decided.change?.id },
    });
    expect(await registry.log()).toHaveLength(3);

    // Drawn afterwards: the look that decided is the last, and says what was decided by.
    const drawn = await shadowLooks(deps, { model, version: 2, upTo: END });
    expect(drawn).toMatchObject({ champion: 1, bar: 1 / model.rollout.shadow.alpha, code: 'better' });
    expect(drawn.looks.at(-1)).toMatchObject({
      to: upTo - model.monitoring.labelWait,
      evidence: looks[at]?.verdict?.evidence,
      gain: looks[at]?.verdict?.gain,
    });
    const grown = drawn.looks.map(({ evidence }) => evidence.better);
    expect(grown).toEqual(grown.toSorted((a, b) => a - b));
    expect(drawn.looks.length).toBeGreaterThan(at);
    const never = await shadowLooks(deps, { model, version: 1, upTo: END });
    expect(never).toMatchObject({ looks: [], sentence: expect.stringContaining('never was a challenger') });
  });

  it('refuses one that is worse, with the reason in the registry', async () => {
    await inShadow();
    await archive.score('predictions', 1, 'best');
    await archive.score('shadow', 2, 'poor', { from: START });
    const { decision, verdict } = await decideShadow(deps, { ...ask(END), version: 2 });
    expect([decision, verdict?.code]).toEqual(['refuse', 'worse']);
    const [, second] = (await registry.history(model.name)).versions;
    expect(second).toMatchObject({
      state: 'retired',
      since: { reason: expect.stringContaining('higher by') },
    });
  });

  it('refuses one that shows no difference when its time is up', async () => {
    await inShadow();
    await archive.score('predictions', 1, 'good');
    await archive.score('shadow', 2, 'good', { from: START });
    const limit = START + model.rollout.shadow.maxDuration + model.monitoring.labelWait;
    expect((await lookAtShadow(deps, { model, version: 2, upTo: limit - HOUR })).decision).toBe('watch');
    const { verdict } = await decideShadow(deps, { ...ask(limit), version: 2 });
    expect(verdict?.code).toBe('time_limit');
  });

  it('keeps watching where labels never come, or nothing was scored', async () => {
    await inShadow();
    const nothing = await lookAtShadow(deps, { model, version: 2, upTo: START + 3 * DAY });
    expect(nothing).toMatchObject({ decision: 'watch', sentence: 'Keep watching: no complete block yet.' });
    await archive.score('predictions', 1, 'good');
    await archive.score('shadow', 2, 'best', { from: START });
    const unlabelled = {
      ...model,
      label: { ...model.label, evaluate: () => null },
    };
    const none = await lookAtShadow(deps, { model: unlabelled, version: 2, upTo: START + 8 * DAY });
    expect(none).toMatchObject({ decision: 'watch', verdict: { rows: 0 } });
  });

  it('begins anew against a champion that took over meanwhile', async () => {
    await inShadow();
    const turn = START + 6 * DAY;
    await registerVersion(registry, made('challenger'), by('trained', START));
    await registry.append(model.name, promote(3, by('by hand', turn)));
    await archive.score('predictions', 1, 'poor', { to: turn });
    await archive.score('predictions', 3, 'best', { from: turn });
    await archive.score('shadow', 2, 'good', { from: START });
    const { verdict } = await lookAtShadow(deps, { model, version: 2, upTo: END });
    expect(verdict?.decision, 'better than version 1 by far, and no better than version 3').not.toBe(
      'promote',
    );
    expect(verdict?.rows).toBeLessThan((END - turn) / 60_000);
  });

  it('says what it cannot judge', async () => {
    await inShadow();
    await registerVersion(registry, made('candidate'), by('trained'));
    const look = (version: number) => lookAtShadow(deps, { model, version, upTo: END });
    await expect(look(9)).rejects.toThrow('There is no version 9 of late_arrival: it has 1 to 3');
    await expect(look(3)).rejects.toThrow('Version 3 of late_arrival is a candidate');
    await registry.append(model.name, promote(2, by('by hand')));
    await expect(look(1)).rejects.toThrow('guards version 2');
  });
});

describe('the guard over a new champion', () => {
  const turn = START + 2 * DAY;
  async function promoted(): Promise<void> {
    await inShadow();
    await registry.append(model.name, promote(2, by('better', turn)));
  }

  it('rolls back one that is worse than the version before', async () => {
    await promoted();
    await archive.score('predictions', 2, 'poor', { from: turn });
    await archive.score('shadow', 1, 'best', { from: turn });
    const upTo = turn + 5 * DAY;
    const { decision, change } = await guardChampion(deps, ask(upTo));
    expect(decision).toBe('rollback');
    expect(change).toMatchObject({
      version: 1,
      state: 'champion',
      former: 'retired',
      effectiveFrom: upTo + 2 * HOUR,
    });
    const { champion, versions } = await registry.history(model.name);
    expect(champion?.version).toBe(1);
    expect(versions.map(({ state }) => state)).toEqual(['champion', 'retired']);
    expect((await guardChampion(deps, ask(upTo))).decision).toBe('none');
  });

  it('rolls back one that refuses requests on the same day, before any label', async () => {
    await promoted();
    await archive.score('predictions', 2, 'refusing', { from: turn });
    await archive.score('shadow', 1, 'best', { from: turn });
    const { decision, verdict } = await guardChampion(deps, ask(turn + DAY));
    expect([decision, verdict?.code]).toEqual(['rollback', 'refusing']);
  });

  it('keeps one that keeps its promises, and retires the version before', async () => {
    await promoted();
    await archive.score('predictions', 2, 'best', { from: turn });
    await archive.score('shadow', 1, 'good', { from: turn });
    expect((await guardChampion(deps, ask(turn + 4 * DAY))).decision).toBe('watch');
    const { decision } = await guardChampion(deps, ask(turn + 9 * DAY));
    expect(decision).toBe('keep');
    const { champion, versions } = await registry.history(model.name);
    expect(champion?.version).toBe(2);
    expect(versions[0]).toMatchObject({
      state: 'retired',
      since: { reason: expect.stringMatching(/^Keep: /) },
    });
    expect(await lookAtGuard(deps, { model, upTo: END })).toMatchObject({ decision: 'none', guard: null });
  });
});

describe('the gate', () => {
  const rows = 4_000;
  const random = createRandom(5);
  const width = () => model.features.length;
  const store = new Map<string, Uint8Array>();
  const artefacts = { get: async (address: string) => store.get(address) ?? new Uint8Array() };

  function data(
    labelsOf: (scores: Float64Array) => Uint8Array,
    address: string,
    from = Date.UTC(2001, 4, 14),
  ) {
    const values = Float64Array.from({ length: rows * width() }, () => random.normal() * 20);
    const scores = new Float64Array(rows);
    createScorer(parseArtefact(store.get(address) ?? new Uint8Array(), address)).scoreBatch(
      values,
      rows,
      scores,
    );
    const times = Float64Array.from({ length: rows }, (_, i) => from + i * 4 * 60_000);
    return { set: { rows: values, labels: labelsOf(scores), times, from, to: from + 12 * DAY, hash: 'h' } };
  }
  /** Labels as the scores say. */
  const honest = (scores: Float64Array) =>
    Uint8Array.from(scores, (score) => (random.next() < score ? 1 : 0));

  it('lets one through that knows more than the champion, and not one that knows less', async () => {
    const [one, two] = [artefactFor(model, 1), artefactFor(model, 2)];
    for (const { address, bytes } of [one, two]) store.set(address, bytes);
    await registerVersion(registry, { ...made('champion'), artefact: one.address }, by('first'));
    const better = await judgeCandidate(
      { registry, artefacts },
      { model, candidate: two.address, data: data(honest, two.address) },
    );
    expect(better).toMatchObject({ pass: true, champion: 1 });
    const worse = await judgeCandidate(
      { registry, artefacts },
      { model, candidate: two.address, data: data(honest, one.address) },
    );
    expect(worse.pass).toBe(false);
    expect(worse.verdict.objections.map(({ code }) => code)).toContain('worse');
    expect(JSON.parse(JSON.stringify(worse.evidence))).toMatchObject({
      test: 'gate',
      champion: 1,
      dataset: { rows },
    });
  });

  it('judges alone where the champion reads another layout, and no model on rows it learnt from', async () => {
    const { address, bytes } = artefactFor(model, 3);
    store.set(address, bytes);
    await registerVersion(registry, { ...made('champion'), layout: 'other' }, by('first'));
    const alone = await judgeCandidate(
      { registry, artefacts },
      { model, candidate: address, data: data(honest, address) },
    );
    expect(alone).toMatchObject({ champion: null, pass: true });
    const known = data(honest, address, Date.UTC(2001, 1, 1));
    await expect(
      judgeCandidate({ registry, artefacts }, { model, candidate: address, data: known }),
    ).rejects.toThrow(
      /The candidate learnt from requests up to 2001-05-14.* it would be judged on what it knows/,
    );
  });

  it('leaves out the rows that the champion learnt from', async () => {
    const champion = artefactFor(model, 5);
    const { manifest, ...rest } = parseArtefact(artefactFor(model, 6).bytes, artefactFor(model, 6).address);
    const dataset = manifest.dataset === null ? null : { ...manifest.dataset, to: Date.UTC(2001, 4, 7) };
    const bytes = serialiseArtefact({ ...rest, manifest: { ...manifest, dataset } });
    const candidate = addressOf(bytes);
    store.set(champion.address, champion.bytes);
    store.set(candidate, bytes);
    await registerVersion(registry, { ...made('champion'), artefact: champion.address }, by('first'));
    const overlapping = data(honest, candidate, Date.UTC(2001, 4, 10));
    const { sentence, evidence } = await judgeCandidate(
      { registry, artefacts },
      { model, candidate, data: overlapping },
    );
    const known = overlapping.set.times.filter((time) => time < Date.UTC(2001, 4, 14)).length;
    expect(known).toBeGreaterThan(0);
    expect(sentence).toContain(`(${known} rows before 2001-05-14T00:00:00.000Z were left out`);
    expect(evidence).toMatchObject({ dataset: { rows: rows - known } });
  });

  it('says so where one bit of a model is wrong, or it reads another layout', async () => {
    const { address, bytes } = artefactFor(model, 4);
    const flipped = Uint8Array.from(bytes);
    flipped[500] = (flipped[500] ?? 0) ^ 1;
    store.set(address, flipped);
    const set = data(honest, [...store.keys()][0] ?? '');
    await expect(
      judgeCandidate({ registry, artefacts }, { model, candidate: address, data: set }),
    ).rejects.toThrow('altered or cut');
    const other = artefactFor({ ...model, features: model.features.slice(1) }, 4);
    store.set(other.address, serialiseArtefact(parseArtefact(other.bytes, other.address)));
    await expect(
      judgeCandidate({ registry, artefacts }, { model, candidate: other.address, data: set }),
    ).rejects.toThrow('was trained on feature layout');
  });
});

describe('explain', () => {
  it('shows what other versions scored beside an answer, and explains each of them by its own id', async () => {
    await archive.score('predictions', 1, 'best', { to: BEGIN + HOUR });
    await archive.score('shadow', 2, 'good', { to: BEGIN + HOUR });
    await archive.score('shadow', 3, 'refusing', { to: BEGIN + HOUR });
    const nothing = { get: async () => new Uint8Array() };
    const explained = (id: string) =>
      explain({ project: archive.project, model, warehouse: archive.warehouse, artefacts: nothing }, id);
    const { beside, modelVersion } = await explained('f5:d');
    expect([modelVersion, ...beside.map(({ version }) => version)]).toEqual([1, 2, 3]);
    const shadow = await explained(`f5:d:${model.name}:v2`);
    expect(shadow).toMatchObject({ modelVersion: 2, requestId: 'f5:d', score: beside[0]?.score });
  });
});

describe('moves by hand', () => {
  const say = (decide: Parameters<ModelRegistry['append']>[1]) => registry.append(model.name, decide);

  it('are refused with a sentence where they make no sense', async () => {
    await inShadow();
    await expect(say(promote(1, by('x')))).rejects.toThrow('is the champion already, since change 1 (first)');
    await expect(say(promote(7, by('x')))).rejects.toThrow('There is no version 7');
    await expect(say(retire(1, by('x')))).rejects.toThrow(
      'is the champion of late_arrival, and there must be one',
    );
    await expect(say(toChallenger(2, by('x')))).rejects.toThrow('is challenger already');
    await say(retire(2, by('bad labels')));
    await expect(say(promote(2, by('x')))).rejects.toThrow(
      'is retired since change 3 (bad labels): train anew',
    );
    await expect(say(retire(2, by('x')))).rejects.toThrow('is retired already');
  });

  it('roll back to the champion before, never to one that was rolled back', async () => {
    await inShadow();
    await expect(say(rollBack(by('x')))).rejects.toThrow('Version 1 is the first champion of late_arrival');
    await say(promote(2, by('x')));
    await registerVersion(registry, made('champion'), by('x'));
    await say(rollBack(by('x')));
    expect((await registry.history(model.name)).champion?.version).toBe(2);
    await say(rollBack(by('x')));
    expect((await registry.list(model.name)).map(({ state }) => state)).toEqual([
      'champion',
      'retired',
      'retired',
    ]);
    await expect(say(rollBack(by('x')))).rejects.toThrow('there is none to go back to');
  });

  it('register one version a run, however often it tries, and against any other hand', async () => {
    const run = { ...by('trained'), run: 'run-7' };
    await registerVersion(registry, made('champion'), by('first'));
    const all = await Promise.all([
      registerVersion(registry, made('challenger'), run),
      registerVersion(registry, { ...made('challenger'), artefact: '1'.repeat(64) }, run),
      registerVersion(registry, made('candidate'), by('another')),
    ]);
    const again = await registerVersion(registry, made('challenger'), run);
    expect(again.already).toBe(true);
    expect(all[0]?.version.version).toBe(again.version.version);
    expect(all[1]?.version.artefact).toBe(again.version.artefact);
    expect(all.slice(0, 2).filter(({ already }) => already)).toHaveLength(1);
    expect((await registry.list(model.name)).map(({ version }) => version)).toEqual([1, 2, 3]);
  });
});
