import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { FRESH_PROGRESS, type Progress } from '../../../processors/lateness.ts';
import { keys } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import { Neighbours, tiedSources } from '../../../streams/ingest/neighbours.ts';
import { encodeProgress, progressCommit } from '../../../streams/ingest/progress.ts';
import { createPlane, type Plane } from '../plane.ts';

describe('sources that views and models tie', () => {
  /** A project of nothing but names: what `tiedSources` looks at. */
  function named(
    project: Project,
    sources: readonly string[],
    views: ReadonlyArray<readonly string[]>,
    models: ReadonlyArray<{ readonly request: string; readonly views: readonly number[] }>,
  ): Project {
    const [source] = project.sources;
    const [view] = project.views;
    const [model] = project.models;
    const [read] = model?.reads ?? [];
    if (source === undefined || view === undefined || model === undefined || read === undefined)
      throw new Error('the project has one of each');
    return {
      ...project,
      sources: sources.map((name) => ({ ...source, name })),
      views: views.map((of, i) => ({ ...view, name: `v${i}`, sources: of })),
      models: models.map((one) => ({
        ...model,
        request: { ...model.request, source: one.request },
        reads: one.views.map((i) => ({ ...read, view: `v${i}` })),
      })),
    };
  }

  let project: Project;
  beforeEach(async () => {
    ({ project } = await createPlane());
  });

  it('a chain ties all of its links, and leaves others alone', () => {
    const tied = tiedSources(
      named(project, ['a', 'b', 'c', 'd', 'e'], [['a', 'b'], ['c'], ['e']], [{ request: 'b', views: [1] }]),
    );
    expect([...(tied.get('a') ?? [])].sort()).toEqual(['a', 'b', 'c']);
    expect(tied.get('c')).toBe(tied.get('a'));
    expect([...(tied.get('d') ?? [])]).toEqual(['d']);
    expect([...(tied.get('e') ?? [])]).toEqual(['e']);
  });

  it('being tied is an equivalence, and the finest that ties each view and each model', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const some = fc.subarray(names, { minLength: 1, maxLength: 3 });
    const views = fc.array(some, { minLength: 1, maxLength: 4 });
    const models = fc.array(
      fc.record({ request: fc.constantFrom(...names), views: fc.subarray([0, 1, 2, 3], { maxLength: 2 }) }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(views, models, (ofViews, drawn) => {
        const ofModels = drawn.map((one) => ({ ...one, views: one.views.filter((i) => i < ofViews.length) }));
        const tied = tiedSources(named(project, names, ofViews, ofModels));
        const groups = [
          ...ofViews,
          ...ofModels.map(({ request, views: read }) => [request, ...read.flatMap((i) => ofViews[i] ?? [])]),
        ];
        // What can be reached from a name by groups that share a member.
        for (const name of names) {
          const reached = new Set([name]);
          for (let size = 0; size < reached.size; ) {
            size = reached.size;
            for (const group of groups)
              if (group.some((one) => reached.has(one))) for (const one of group) reached.add(one);
          }
          expect([...(tied.get(name) ?? [])].sort()).toEqual([...reached].sort());
        }
      }),
    );
  });
});

describe('what is known of neighbours', () => {
  let plane: Plane;
  let neighbours: Neighbours;
  const TRIPS = new Set(['trips']);

  beforeEach(async () => {
    plane = await createPlane({ partitions: 3 });
    neighbours = new Neighbours(plane.project, plane);
  });

  async function set(partition: number, progress: Partial<Progress>): Promise<void> {
    const key = keys.ingestProgress(plane.project.prefix, 'trips', partition);
    const [[expected = null] = []] = await plane.store.read([[key]]);
    const next = encodeProgress({ ...FRESH_PROGRESS, ...progress });
    await plane.store.commit([progressCommit(key, expected, next)]);
  }

  const ends = (...all: number[]) => ({
    ends: async (places: ReadonlyArray<{ readonly partition: number }>) =>
      places.map(({ partition }) => all[partition] ?? 0),
  });

  it('idle ones with records past their progress are unread; those awake, and those with none, are not', async () => {
    await set(0, { idle: true, next: 5 });
    await set(1, { idle: true, next: 5 });
    await set(2, { idle: false, next: 5 });
    const unread = await neighbours.unread(await neighbours.look(TRIPS), ends(5, 6, 9));
    expect(unread.map(({ partition }) => partition)).toEqual([1]);
  });

  it('asks the broker of idle ones alone, and not at all where none is idle', async () => {
    await set(0, { idle: false });
    const unread = neighbours.unread(await neighbours.look(TRIPS), {
      ends: () => Promise.reject(new Error('asked')),
    });
    expect(await unread).toEqual([]);
  });

  it('one that the store does not know, or whose progress is torn, holds nobody', async () => {
    await set(0, { idle: true, next: 5, backlogAt: 7 });
    await neighbours.look(TRIPS);
    const key = keys.ingestProgress(plane.project.prefix, 'trips', 0);
    await plane.store.remove([key]);
    await plane.store.commit([progressCommit(key, null, Buffer.from('torn'))]);
    const all = await neighbours.look(TRIPS);
    expect(await neighbours.unread(all, ends(9, 9, 9))).toEqual([]);
    expect(all.map((one) => neighbours.holdsAt(one))).toEqual([null, null, null]);
  });

  /*
   *  told: backlog at 7        10 s            told again
   *      |-----------------------|....nobody.......|-- holds
   */
  it('one in backlog holds the others until it has not moved for ten seconds, and again once it moves', async () => {
    await set(0, { backlogAt: 7 });
    const [first] = await neighbours.look(TRIPS);
    if (first === undefined) throw new Error('there are neighbours');
    plane.clock.time += 10_000;
    await neighbours.look(TRIPS);
    expect(neighbours.holdsAt(first)).toBe(7);
    plane.clock.time += 1;
    await neighbours.look(TRIPS);
    expect(neighbours.holdsAt(first)).toBeNull();
    await set(0, { backlogAt: 8 });
    await neighbours.look(TRIPS);
    expect(neighbours.holdsAt(first)).toBe(8);
    await set(0, { backlogAt: null });
    await neighbours.look(TRIPS);
    expect(neighbours.holdsAt(first)).toBeNull();
  });
});
