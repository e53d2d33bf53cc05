import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asOf, createReader, NO_LIMITS } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import { floorTo } from '../../schemas/time.ts';
import { oracleRead } from '../oracle/naive.ts';
import { buildView } from './build-view.ts';
import { dice, expectClose, expectSameBits, headsOf, logsOf, readLogs, shuffled } from './harness.ts';
import { AROUND, AUTUMN, contributionsOf, historyOf, spanOf, viewSpecs, ZONES } from './random-views.ts';

const RUNS = Number(process.env.LAW_RUNS ?? 250);

const drawn = fc.record({
  spec: viewSpecs,
  events: fc.nat(150),
  seed: fc.integer(),
  /** Shift of the request against a change of the clocks, hours. */
  shift: fc.integer({ min: -30, max: 80 }),
  minutes: fc.nat(119),
  around: fc.constantFrom(AROUND, AUTUMN),
  zone: fc.constantFrom(...ZONES),
  /** How far the frontier is behind the request's own edge, in steps. */
  behind: fc.nat(6),
});

/** One history, read in every way there is. */
function scene({
  spec,
  events,
  seed,
  shift,
  minutes,
  around,
  behind,
}: typeof drawn extends fc.Arbitrary<infer T> ? T : never) {
  const view = buildView(spec);
  const time = around + shift * 3_600_000 + minutes * 60_000 + (seed & 0xffff);
  const next = dice(seed);
  const { head } = headsOf(view, time);
  const edge = asOf(view, time, behind < 3 ? Number.MAX_SAFE_INTEGER : head - behind * view.resolution + 1);
  const history = historyOf(view, events, next, time, edge.asOf);
  const contributions = contributionsOf(view, history).filter(
    ({ time: eventTime, at }) => view.at === null || (at !== null && eventTime - at <= view.at.maxDelay),
  );
  return { view, time, history, contributions, edge, next };
}

describe('a read', () => {
  it('is what the naive oracle computes from the raw events', () => {
    fc.assert(
      fc.property(drawn, (drawnScene) => {
        const { view, time, history, contributions, edge, next } = scene(drawnScene);
        const request = { time, zone: drawnScene.zone };
        const got = readLogs(view, logsOf(view, contributions, next), request, edge);
        expectClose(view, got, oracleRead(view, history, request, edge), 120 * 2 ** 37);
      }),
      { numRuns: RUNS },
    );
  });

  it('is the same to the bit however events were ordered, batched and compacted, and from memory', () => {
    fc.assert(
      fc.property(drawn, (drawnScene) => {
        const { view, time, contributions, edge, next } = scene(drawnScene);
        const request = { time, zone: drawnScene.zone };
        const plain = readLogs(
          view,
          logsOf(view, contributions, () => 1),
          request,
          edge,
        );
        const span = spanOf(view);
        const compacted = logsOf(view, shuffled(contributions, next), next, () =>
          next() < 0.5 ? Math.floor(edge.asOf - span * next() ** 4) : null,
        );
        expectSameBits(view, readLogs(view, compacted, request, edge), plain);

        const finished = logsOf(
          view,
          shuffled(contributions, next),
          () => 1,
          () => edge.asOf,
        );
        expectSameBits(view, readLogs(view, finished, request, edge), plain);

        const state = new ViewState(view);
        for (const contribution of shuffled(contributions, next)) {
          state.apply(contribution);
          if (next() < 0.1) state.prune(floorTo(edge.asOf - span * next() ** 4, view.resolution));
        }
        const out = new Float64Array(view.features.length + 3);
        expect(state.read('e', request, edge, out, 2)).toBe('ok');
        expectSameBits(view, [...out.subarray(2, 2 + view.features.length)], plain);

        const encoded = view.sets.map((): Uint8Array | null => null);
        for (const { set, bytes } of state.encode(edge.asOf)) encoded[set] = bytes;
        expectSameBits(view, readLogs(view, encoded, request, edge), plain);
      }),
      { numRuns: RUNS },
    );
  });

  it('stays the same at every later edge after a compaction', () => {
    fc.assert(
      fc.property(drawn, fc.array(fc.nat(400), { minLength: 1, maxLength: 6 }), (drawnScene, steps) => {
        const { view, time, contributions, edge, next } = scene(drawnScene);
        const open = logsOf(view, contributions, next);
        const shut = logsOf(view, contributions, next, () => edge.asOf);
        for (const step of steps) {
          const later = time + step * view.resolution;
          const at = asOf(view, later, Number.MAX_SAFE_INTEGER);
          if (at.asOf < edge.asOf) continue;
          const request = { time: later, zone: drawnScene.zone };
          expectSameBits(view, readLogs(view, shut, request, at), readLogs(view, open, request, at));
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('below the oldest exact head is refused, whoever says so', () => {
    const view = buildView({
      inputs: [{ name: 'amount' }],
      windows: [{ aggregation: 'sum', input: 0, length: 3_600_000 }],
    });
    const minute = 60_000;
    const time = AROUND;
    const { head } = headsOf(view, time);
    const contribution = { offset: 0, time: time - 10 * minute, at: null, entity: 'e', values: [5] };
    const logs = logsOf(
      view,
      [contribution],
      () => 1,
      () => head,
    );
    const reader = createReader(view);
    const out = new Float64Array(1);
    const request = { time, zone: null };
    const at = (frontier: number) => asOf(view, time, frontier);
    expect(reader.read(logs, request, at(head), NO_LIMITS, out, 0)).toBe('ok');
    expect(out[0]).toBe(5);
    expect(reader.read(logs, request, at(head - 1), NO_LIMITS, out, 0)).toBe('behind');
    expect(reader.read([null], request, at(head - 1), NO_LIMITS, out, 0)).toBe('ok');
    expect(out[0]).toBe(0);
    const { base } = NO_LIMITS;
    expect(reader.read([null], request, at(head - 1), { oldestExactHead: head, base }, out, 0)).toBe(
      'behind',
    );
    expect(reader.read([null], request, at(Number.NEGATIVE_INFINITY), NO_LIMITS, out, 0)).toBe('behind');
  });

  it('that reaches below the base is refused until its windows have passed it', () => {
    const view = buildView({
      inputs: [{ name: 'amount' }],
      windows: [{ aggregation: 'sum', input: 0, length: 3_600_000 }],
    });
    const { head } = headsOf(view, AROUND);
    const reader = createReader(view);
    const out = new Float64Array(1);
    const edge = asOf(view, AROUND, head);
    const request = { time: AROUND, zone: null };
    const limits = (base: number) => ({ oldestExactHead: Number.NEGATIVE_INFINITY, base });
    expect(reader.read([null], request, edge, limits(head - 3_600_000), out, 0)).toBe('ok');
    expect(reader.read([null], request, edge, limits(head - 3_600_000 + 1), out, 0)).toBe('behind');
  });
});
