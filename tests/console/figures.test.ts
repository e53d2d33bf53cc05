import { describe, expect, it } from 'vitest';
import { bytesOf, hexOf, textOf } from '../../console/src/lib/bytes.ts';
import { curvesOf, reachOf } from '../../console/src/lib/calibration.ts';
import { againOf, causeOf } from '../../console/src/lib/causes.ts';
import { number, plural, rate, signed, span, time } from '../../console/src/lib/format.ts';
import { readOf, standingOf } from '../../console/src/lib/inputs.ts';
import { pictureOf } from '../../console/src/lib/picture.ts';
import { aroundOne, isNamed, linesOf, newest, ranked } from '../../console/src/lib/quality.ts';
import { differing, type TrainingRecord } from '../../console/src/lib/runs.ts';
import { silenceOf } from '../../console/src/lib/silences.ts';
import { headline, troublesOf } from '../../console/src/lib/troubles.ts';
import type { Alert, Measure, PipelineRun, Topology } from '../../console/src/lib/types.ts';

const NOW = Date.UTC(2026, 0, 1);

const topology = (change: { lag?: number | null; perSecond?: number; records?: number } = {}): Topology => {
  const { lag = 0, perSecond = 100, records = 5_000 } = change;
  const topic = (name: string, kind: Topology['topics'][number]['kind']) => ({
    topic: name,
    kind,
    of: 'trips',
    partitions: 1,
    records,
    perSecond,
  });
  return {
    at: NOW,
    topics: [topic('raw', 'raw'), topic('valid', 'validated'), topic('asked', 'asked')],
    streams: [
      { stream: 'ingest', of: '', reads: [{ topic: 'raw', lag }], writes: ['valid'] },
      { stream: 'archive', of: '', reads: [{ topic: 'asked', lag: 0 }], writes: [] },
    ],
  };
};

const seen = (shown: Topology | null) => ({
  topology: shown,
  health: null,
  alerts: [],
  silences: [],
  letters: [],
  runs: [],
  now: NOW,
});

describe('what is wrong', () => {
  it('is nothing where all flows', () => {
    expect(troublesOf(seen(topology()))).toEqual([]);
    expect(headline(topology(), [])).toBe('100 events a second; nothing is behind, nothing is wrong.');
    expect(headline(topology({ records: 0 }), [])).toBe('No event has come yet.');
  });

  it('is a stream that never read, with the command that starts it', () => {
    const [trouble] = troublesOf(seen(topology({ lag: null })));
    expect(trouble).toMatchObject({ level: 'warn', at: 'ingest', mend: 'Start it: millrace run ingest.' });
  });

  it('is a stream that would need longer than ten seconds', () => {
    expect(troublesOf(seen(topology({ lag: 1_000, perSecond: 1_000 })))).toEqual([]);
    expect(troublesOf(seen(topology({ lag: 10_000, perSecond: 1_000 })))[0]).toMatchObject({
      level: 'bad',
      at: 'ingest',
    });
  });

  it('names firing alerts and refusals of the last five minutes, the worst first', () => {
    const alert = { state: 'firing', severity: 'critical', summary: 'auc fell' } as Alert;
    const letter = {
      source: 'trips',
      stage: 'validate',
      code: 'late',
      records: 2,
      first: 0,
      last: NOW - 60_000,
    };
    const old = { ...letter, code: 'old', last: NOW - 301_000 };
    const found = troublesOf({ ...seen(null), alerts: [alert], letters: [letter, old] });
    expect(found.map(({ what }) => what)).toEqual([
      'auc fell',
      'trips: 2 records refused as late, the last one 1 min ago.',
    ]);
    const reasons = ['late', 'bad_avro', 'null_value'].map((code, i) => ({
      ...letter,
      code,
      records: 2 + i,
    }));
    const [many, ...more] = troublesOf({ ...seen(null), letters: [...reasons, old] });
    expect(more).toEqual([]);
    expect(many?.what).toBe(
      'trips: 9 records refused for 3 reasons, most often null_value (4), the last one 1 min ago.',
    );
    expect(many?.link).toBe('/dead-letters/trips');
  });
});

it('a run that failed is a trouble until a later one of its pipeline came to its end', () => {
  const run = (id: string, state: PipelineRun['state'], pipeline = 'retrain') =>
    ({ id, pipeline, state, steps: [{ step: 'gate', state: 'failed' }] }) as unknown as PipelineRun;
  const found = (...runs: PipelineRun[]) =>
    troublesOf({ ...seen(null), runs }).map(({ what, link }) => `${what} ${link}`);
  const told = ['a failed at gate. /pipelines'];
  expect(found(run('a', 'failed'), run('b', 'running'))).toEqual(told);
  expect(found(run('a', 'failed'), run('b', 'done', 'other'))).toEqual(told);
  expect(found(run('a', 'failed'), run('b', 'done'))).toEqual([]);
  expect(found(run('a', 'cancelled'), run('b', 'shadowing'))).toEqual([]);
});

describe('before rates are measured', () => {
  it('nothing is said to stand still, or to be behind', () => {
    const early = topology({ lag: 5_000 });
    const topics = early.topics.map((one) => ({ ...one, perSecond: null }));
    expect(troublesOf(seen({ ...early, topics }))).toEqual([]);
    expect(headline({ ...early, topics }, [])).toBe(
      'It measures what comes in; nothing is behind, nothing is wrong.',
    );
    const still = early.topics.map((one) => ({ ...one, perSecond: 0 }));
    expect(headline({ ...early, topics: still }, [])).toMatch(/^Nothing comes in at the moment;/);
    expect(troublesOf(seen({ ...early, topics: still }))).toHaveLength(1);
  });
});

describe('why a run of a pipeline began', () => {
  const alert = { fingerprint: '4e05', rule: 'model_worse', summary: 'Over: cost loses 0.4 nats.' };

  it('is told by the rule and the sentence of an alert, not by its fingerprint', () => {
    expect(causeOf('alert 4e05:1', [alert])).toBe('model_worse fired (cost loses 0.4 nats)');
  });

  it('is told as it is kept where no such alert is known, and of other causes', () => {
    expect(causeOf('alert 77:1', [alert])).toBe('alert 77:1');
    expect(causeOf('schedule', [alert])).toBe('schedule');
  });
});

it('a step that waits for evidence looks again; any other one is tried again', () => {
  const step = { does: 'decide', attempt: 6, error: '' };
  expect(againOf(step)).toEqual({ said: 'looked 6 times', failed: false });
  expect(againOf({ ...step, error: 'The disk is full.' })).toEqual({ said: 'try 6', failed: true });
  expect(againOf({ ...step, does: 'train' })).toEqual({ said: 'try 6', failed: true });
  expect(againOf({ ...step, attempt: 1 })).toBeNull();
});

it('one point alone stands in the middle of a day, whatever end the scale is told', () => {
  const [low, high] = aroundOne(1_000_000);
  expect([low, high]).toEqual([956_800, 1_043_200]);
});

describe('an alert that somebody looks after', () => {
  const alert = {
    state: 'firing',
    rule: 'drifted',
    model: 'cost',
    subject: 'x',
    severity: 'page',
    summary: 'x moved',
  } as Alert;
  const silence = {
    id: 's',
    rule: 'drifted',
    model: '',
    subject: '',
    until: NOW,
    by: 'Ada',
    reason: 'storm',
  };

  it('stays in sight with who that is, and needs no look', () => {
    const found = troublesOf({ ...seen(null), alerts: [alert], silences: [silence] });
    expect(found).toMatchObject([{ what: 'x moved', held: true }]);
    expect(found[0]?.mend).toMatch(/^Ada looks after it until \d{4}-/);
    expect(headline(topology(), found)).toBe('100 events a second; what is wrong is looked after.');
    const both = troublesOf({
      ...seen(null),
      alerts: [alert, { ...alert, rule: 'model_worse' }],
      silences: [silence],
    });
    expect(headline(topology(), both)).toBe('100 events a second; 1 thing needs a look.');
  });

  it('is under a silence whose every name is its own or empty', () => {
    expect(silenceOf(alert, [silence])).toBe(silence);
    expect(silenceOf(alert, [{ ...silence, model: 'cost', subject: 'x' }])).toBeDefined();
    expect(silenceOf(alert, [{ ...silence, subject: 'y' }])).toBeUndefined();
    expect(silenceOf(alert, [{ ...silence, rule: '', model: 'price' }])).toBeUndefined();
  });
});

describe('the picture', () => {
  it('shows what an arrow touches, from left to right, and lies within its bounds', () => {
    const { boxes, arrows, width, height } = pictureOf(topology({ lag: 7 }));
    expect(boxes.map(({ id }) => id)).toEqual(['raw', 'ingest', 'valid', 'archive']);
    expect(arrows.map(({ id, lag }) => [id, lag])).toEqual([
      ['raw>ingest', 7],
      ['ingest>valid', null],
    ]);
    for (const { x, y } of boxes) {
      expect(x).toBeLessThan(width);
      expect(y).toBeLessThan(height);
    }
    for (const { from, to } of arrows) expect(from.x).toBeLessThan(to.x);
  });
});

describe('measures', () => {
  const measure = (change: Partial<Measure>): Measure =>
    ({
      kind: 'quality',
      statistic: 'auc',
      model: 'm',
      version: 1,
      subject: '',
      slice: '',
      from: 0,
      to: 10,
      tick: 10,
      value: 0.8,
      low: 0.7,
      high: 0.9,
      rows: 5,
      threshold: null,
      fired: false,
      detail: null,
      ...change,
    }) as Measure;

  it('count as they were looked at last', () => {
    expect(
      newest([measure({ value: 0.5 }), measure({ tick: 20, value: 0.6 })]).map(({ value }) => value),
    ).toEqual([0.6]);
  });

  it('become a line a version, with gaps where it was not measured, estimates dashed', () => {
    const { at, lines } = linesOf(
      [measure({}), measure({ to: 20, version: 2, value: 0.9 }), measure({ kind: 'estimate', to: 20 })],
      'auc',
    );
    expect(at).toEqual([10, 20]);
    expect(lines.map(({ name, values, dashed }) => [name, values, dashed])).toEqual([
      ['version 1', [0.8, null], false],
      ['version 1, estimated', [null, 0.8], true],
      ['version 2', [null, 0.9], false],
    ]);
  });

  it('of drift stand by their effect beside their threshold, what fired first, what has none last', () => {
    const drift = (subject: string, change: Partial<Measure>) =>
      measure({ kind: 'drift', subject, ...change });
    const order = ranked([
      drift('none', { value: 9 }),
      drift('small', { value: 0.1, threshold: 0.2 }),
      drift('large', { value: 0.3, threshold: 0.4 }),
      drift('fired', { value: 0.1, threshold: 0.1, fired: true }),
    ]);
    expect(order.map(({ subject }) => subject)).toEqual(['fired', 'large', 'small', 'none']);
    const found = (text: string) => order.filter(isNamed(text)).map(({ subject }) => subject);
    expect(found(' LAR')).toEqual(['large']);
    expect(found('')).toEqual(['fired', 'large', 'small', 'none']);
  });
});

it('a view is found under the name that a model reads it by, the one with most features first', () => {
  const model = {
    model: 'late',
    reads: [
      { name: 'back', view: 'daily', key: [] },
      { name: 'day', view: 'daily', key: [] },
      { name: 'idle', view: 'idle', key: [] },
    ],
    features: ['back', 'day', 'day'].map((read, i) => ({ name: `${read}.${i}`, expression: null, read })),
  };
  expect(readOf([{ ...model, model: 'other', features: [] }, model], 'daily')).toEqual({
    model: 'late',
    read: 'day',
  });
  expect(readOf([model], 'idle')).toBeNull();
  expect(readOf([model], 'unknown')).toBeNull();
});

describe('where a value stands', () => {
  const quantiles = [0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 100];

  it('is its rank among what was learnt from, the middle of those that share it', () => {
    expect(standingOf(35, quantiles)).toMatchObject({ rank: 0.55, strange: false });
    expect(standingOf(0, quantiles)?.rank).toBe(0.1);
    expect(standingOf(100, quantiles)?.rank).toBe(1);
    expect(standingOf(30, quantiles)?.said).toBe('above 50 % of what it learnt from');
  });

  it('is outside, or not known', () => {
    expect(standingOf(-1, quantiles)).toMatchObject({ rank: 0, strange: true });
    expect(standingOf(101, quantiles)).toMatchObject({ rank: 1, strange: true });
    expect(standingOf(null, quantiles)).toBeNull();
    expect(standingOf(1, null)).toBeNull();
    expect(standingOf(3, new Array<number>(11).fill(3))).toMatchObject({ rank: 0.5, strange: false });
  });
});

describe('a calibration curve', () => {
  const curve = (version: number, to: number, rows: number) =>
    ({
      kind: 'quality',
      statistic: 'calibration_error',
      version,
      subject: '',
      slice: '',
      from: 0,
      to,
      tick: to,
      detail: { curve: [{ rows, meanScore: 0.12, rate: 0.31 }] },
    }) as unknown as Measure;

  it('is that of the newest window of each version, of most requests first', () => {
    const found = curvesOf([curve(1, 10, 90), curve(1, 20, 30), curve(2, 10, 50)]);
    expect(found.map(({ version, to }) => [version, to])).toEqual([
      [2, 10],
      [1, 20],
    ]);
    expect(found.map(reachOf)).toEqual([0.4, 0.4]);
    expect(curvesOf([{ ...curve(1, 10, 5), detail: null }])).toEqual([]);
  });
});

describe('runs side by side', () => {
  const run = (change: object) =>
    ({
      id: 'a',
      dataset: 'same',
      codeVersion: '1',
      parameters: { rounds: 10, seed: 1 },
      metrics: [
        { metric: 'auc', slice: '', step: 0, value: 0.8 },
        { metric: 'loss', slice: '', step: 3, value: 9 },
      ],
      ...change,
    }) as unknown as TrainingRecord;

  it('show what differs alone, and no curves', () => {
    expect(differing([run({}), run({ parameters: { rounds: 20, seed: 1, l2: 5 }, metrics: [] })])).toEqual([
      { name: 'rounds', values: ['10', '20'] },
      { name: 'auc', values: ['0.8', '–'] },
      { name: 'l2', values: ['–', '5'] },
    ]);
    expect(differing([run({}), run({ id: 'b' })])).toEqual([]);
  });
});

describe('figures, times and bytes', () => {
  it('are short, and say what is not known', () => {
    expect([number(1234), number(0.012345), number(null), number(1e-7)]).toEqual([
      '1,234',
      '0.0123',
      '–',
      '1.0e-7',
    ]);
    expect([signed(0.1234), signed(-2), signed(0)]).toEqual(['+0.123', '−2', '+0']);
    expect([rate(0), rate(2.345), rate(1200), rate(null)]).toEqual(['0/s', '2.3/s', '1,200/s', '…']);
    expect([span(350), span(2_500), span(720_000), span(-90_000)]).toEqual([
      '350 ms',
      '2.5 s',
      '12 min',
      '-1.5 min',
    ]);
    expect(time(Date.UTC(2001, 3, 1, 15))).toBe('2001-04-01 15:00:00');
    expect([plural(1, 'record'), plural(2, 'record')]).toEqual(['1 record', '2 records']);
  });

  it('of a record read as JSON with line breaks, and as sixteen bytes a line', () => {
    const bytes = bytesOf(Buffer.from('{"a":1}').toString('base64'));
    expect(textOf(bytes)).toBe('{\n  "a": 1\n}');
    expect(hexOf(bytes)).toMatch(/^000000 {2}7b 22 61 22 3a 31 7d +\{"a":1\}$/);
    expect(textOf(Uint8Array.of(255))).toBe('�');
  });
});
