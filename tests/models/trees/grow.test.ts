import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRaw, rawOutputs } from '../../../models/body.ts';
import { createRandom } from '../../../models/random.ts';
import { binFeature, edgesOf, fitEdges, MOST_BINS } from '../../../models/trees/bins.ts';
import { defaultTreesSpec, type TreesSpec, treesSpecOf } from '../../../models/trees/spec.ts';
import { trainTrees } from '../../../models/trees/train.ts';
import { NAMES, syntheticDataset } from '../fixtures.ts';

const all = (count: number) => Uint32Array.from({ length: count }, (_, at) => at);
const values = fc.array(
  fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ noNaN: true, min: -1e150, max: 1e150 })),
  {
    minLength: 1,
    maxLength: 300,
  },
);

function binsOf(column: Float64Array, edges: Float64Array): Uint8Array {
  const bins = new Uint8Array(column.length);
  binFeature(column, 1, 0, all(column.length), edges, { rows: column.length, bins });
  return bins;
}

describe('bins', () => {
  it('law: edges rise, lie between values that were seen, and part them all where there are few', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 2, max: MOST_BINS }), (list, most) => {
        const sorted = Float64Array.from(list, (value) => value + 0).sort();
        const edges = edgesOf(sorted, most);
        const distinct = new Set(sorted);
        expect(edges.length).toBeLessThan(Math.min(most, distinct.size));
        if (distinct.size <= most) expect(edges.length).toBe(distinct.size - 1);
        edges.forEach((edge, at) => {
          if (at > 0) expect(edge).toBeGreaterThan(edges[at - 1] ?? 0);
          expect(edge).toBeGreaterThanOrEqual(sorted[0] ?? 0);
          expect(edge).toBeLessThan(sorted.at(-1) ?? 0);
        });
      }),
    );
  });

  it('law: a value is in the first bin whose edge it does not exceed; nulls have a bin of their own', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 2, max: 20 }), (list, most) => {
        const rows = Float64Array.from([...list, Number.NaN, Number.POSITIVE_INFINITY]);
        const own = fitEdges(rows, 1, 0, all(rows.length), most);
        const bins = binsOf(rows, own);
        rows.forEach((value, row) => {
          const first = own.findIndex((edge) => value <= edge);
          const bin = Number.isFinite(value) ? (first < 0 ? own.length : first) : own.length + 1;
          expect(bins[row]).toBe(bin);
        });
      }),
    );
  });

  it('hold about as many rows each', () => {
    const random = createRandom(1);
    const sorted = Float64Array.from({ length: 20_000 }, () => random.normal()).sort();
    const edges = edgesOf(sorted, 50);
    const counts = new Uint32Array(50);
    for (const bin of binsOf(sorted, edges)) counts[bin] = (counts[bin] ?? 0) + 1;
    expect(Math.min(...counts)).toBeGreaterThan(350);
    expect(Math.max(...counts)).toBeLessThan(450);
  });
});

const STUMP: TreesSpec = {
  ...defaultTreesSpec,
  rounds: 1,
  leaves: 2,
  learningRate: 1,
  l2: 1,
  minWeight: 0,
  rowShare: 1,
  featureShare: 1,
};

/** The best second-order gain over every feature, every point between two values, and both sides for nulls. */
function bestGain(rows: Float64Array, width: number, labels: Uint8Array, l2: number): number {
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const p = 1 / (1 + (labels.length - positives + 1) / (positives + 1));
  const gain = (left: (row: number) => boolean) => {
    const sums = { true: [0, 0], false: [0, 0] };
    labels.forEach((label, row) => {
      const side = sums[left(row) ? 'true' : 'false'];
      side[0] = (side[0] ?? 0) + p - label;
      side[1] = (side[1] ?? 0) + p * (1 - p);
    });
    const part = ([g = 0, h = 0]: number[]) => (g * g) / (h + l2);
    const [whole, yes, no] = [sums.true.map((x, at) => x + (sums.false[at] ?? 0)), sums.true, sums.false];
    return yes[1] === 0 || no[1] === 0 ? 0 : part(yes) + part(no) - part(whole);
  };
  let best = 0;
  for (let feature = 0; feature < width; feature++) {
    const cell = (row: number) => rows[row * width + feature] ?? 0;
    for (const bound of new Set(Array.from(labels, (_, row) => cell(row)).filter((x) => !Number.isNaN(x))))
      for (const nulls of [true, false])
        best = Math.max(
          best,
          gain((row) => (Number.isNaN(cell(row)) ? nulls : cell(row) <= bound)),
        );
  }
  return best;
}

describe('the first split', () => {
  it('law: gains as much as the best of all splits, tried one by one', async () => {
    let kept = 0;
    const row = fc.tuple(
      fc.option(fc.integer({ min: -3, max: 3 }), { nil: Number.NaN }),
      fc.option(fc.integer({ min: 0, max: 9 }), { nil: Number.NaN }),
      fc.integer({ min: 0, max: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 4, maxLength: 40 }), async (list) => {
        // One later row is put aside to stop the training; the split sees the others.
        const rows = Float64Array.from([...list.flatMap((one) => one.slice(0, 2)), 0, 0]);
        const labels = Uint8Array.from([...list.map(([, , label]) => label), 0]);
        const times = Float64Array.from(labels, (_, at) => at);
        const spec = { ...STUMP, validationShare: 1 / (labels.length + 1), patience: 1 };
        const learnt = labels.subarray(0, list.length);
        const expected = bestGain(rows.subarray(0, list.length * 2), 2, learnt, spec.l2);
        const { body, rounds } = await trainTrees({ names: ['a', 'b'], rows, labels, times }, spec);
        expect(rounds).toBe(1);
        // The tree is only kept where it helps the row put aside: then its leaves must be those of a best split.
        if (body.kind !== 'trees' || body.leaves.length < 2) return;
        kept += 1;
        const outputs = rawOutputs(createRaw(body), rows, 2, all(list.length));
        expect(gainOf(learnt, (at) => outputs[at] === outputs[0], spec.l2)).toBeCloseTo(expected, 6);
      }),
      { numRuns: 200 },
    );
    expect(kept).toBeGreaterThan(20);
  });
});

function gainOf(labels: Uint8Array, left: (row: number) => boolean, l2: number): number {
  const sides = Float64Array.from(labels, (_, row) => (left(row) ? 0 : 1));
  return bestGain(sides, 1, labels, l2);
}

describe('trees', () => {
  const dataset = syntheticDataset(3_000, 1);
  const spec = { ...treesSpecOf({ rounds: 25, leaves: 12, minWeight: 1 }), patience: 25 };

  it('score rows as training scored their bins: the loss it told is the loss of the forest it kept', async () => {
    const trained = await trainTrees(dataset, { ...spec, rowShare: 0.7, featureShare: 0.5 });
    const raw = createRaw(trained.body);
    const best = trained.epochs.find(({ epoch }) => epoch === trained.bestEpoch);
    if (best !== undefined) expect(best.validation.logLoss).toBe(trained.validation.logLoss);
    expect(trained.epochs.map(({ epoch }) => epoch)).toEqual([10, 20, 25]);
    const later = all(dataset.labels.length).filter(
      (row) => (dataset.times[row] ?? 0) >= trained.split.cutTime,
    );
    const outputs = rawOutputs(raw, dataset.rows, NAMES.length, later);
    const loss = outputs.reduce((sum, z, at) => {
      const label = dataset.labels[later[at] ?? 0] ?? 0;
      return sum + Math.log1p(Math.exp(label === 1 ? -z : z));
    }, 0);
    expect(loss / later.length).toBeCloseTo(trained.validation.logLoss, 10);
  });

  it('keep to their leaves, their depth and their weight', async () => {
    const one = { ...spec, rounds: 1, learningRate: 1, rowShare: 1 };
    const leavesOf = async (change: Partial<TreesSpec>) => {
      const { body } = await trainTrees(dataset, { ...one, ...change });
      return body.kind === 'trees' ? body.leaves.length : 0;
    };
    expect(await leavesOf({ leaves: 7 })).toBe(7);
    expect(await leavesOf({ leaves: 500, depth: 3 })).toBe(8);
    expect(await leavesOf({ leaves: 500, depth: 64, minWeight: 120 })).toBeLessThan(6);
  });

  it('stop when the later rows learn no more, and keep the best', async () => {
    const few = syntheticDataset(300, 3);
    const found = await trainTrees(few, { ...spec, rounds: 500, patience: 5, learningRate: 0.5 });
    expect(found.rounds).toBeLessThan(500);
    expect(found.rounds - found.bestEpoch).toBe(5);
    if (found.body.kind === 'trees') expect(found.body.roots).toHaveLength(found.bestEpoch);
  });

  it('part nulls from the rest where that is what counts', async () => {
    const random = createRandom(4);
    const rows = Float64Array.from({ length: 2_000 }, () =>
      random.next() < 0.5 ? Number.NaN : random.normal(),
    );
    const labels = Uint8Array.from(rows, (x) => (Number.isNaN(x) ? 1 : 0));
    const times = Float64Array.from(rows, (_, at) => at);
    const { body } = await trainTrees(
      { names: ['x'], rows, labels, times },
      { ...spec, rounds: 20, learningRate: 0.5 },
    );
    const raw = createRaw(body);
    expect(raw.logit(Float64Array.of(Number.NaN), 0)).toBeGreaterThan(2);
    for (const x of [-1e100, -3, 0, 3, 1e100]) expect(raw.logit(Float64Array.of(x), 0)).toBeLessThan(-2);
  });
});
