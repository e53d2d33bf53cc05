import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { begin, cancel, fail, release, resume, settle, tell } from '../../../pipelines/runs/changes.ts';
import {
  ancestors,
  isOver,
  isSettled,
  newRun,
  type PipelineRun,
  ready,
  type StepRecord,
  stepOf,
} from '../../../pipelines/runs/run.ts';
import type { Pipeline, Step } from '../../../schemas/pipeline.ts';

const step = (name: string, parts: Partial<Step> = {}): Step => ({
  name,
  kind: 'dataset',
  needs: [],
  retries: 1,
  timeout: 1_000,
  resources: 'light',
  with: {},
  trainer: null,
  ...parts,
});
const pipelineOf = (steps: readonly Step[]): Pipeline => ({
  name: 'p',
  model: 'm',
  start: { every: null, cron: null, alerts: [], cooldown: 0 },
  eventLatency: 7,
  steps,
});
const runOf = (...steps: readonly Step[]): PipelineRun =>
  newRun({ id: 'p@1', pipeline: pipelineOf(steps), eventTime: 100, cause: 'schedule', tick: 100 }, 1);
const recordOf = (run: PipelineRun, name: string): StepRecord => {
  const found = stepOf(run, name);
  if (found === undefined) throw new Error(`no step ${name}`);
  return found;
};
const hold = (run: PipelineRun, name: string, token: string): PipelineRun | null =>
  begin(run, name, { delivery: recordOf(run, name).delivery, token, worker: 'w' }, 2);
const must = (run: PipelineRun | null): PipelineRun => {
  if (run === null) throw new Error('it was refused');
  return run;
};
const ok = { kind: 'done', result: { a: 1 }, note: 'ok' } as const;
const no = { kind: 'refused', result: null, note: 'worse' } as const;
const watch = { kind: 'watch', result: null, note: 'not yet' } as const;
const finish = (run: PipelineRun, name: string) =>
  must(settle(must(hold(run, name, name)), name, name, ok, 0, 3));

/** A graph in which every step needs some of those before it. */
const graph = fc.array(fc.nat(2 ** 10 - 1), { minLength: 1, maxLength: 7 }).map((masks) =>
  masks.map((mask, i) =>
    step(`s${i}`, {
      needs: masks.slice(0, i).flatMap((_, k) => ((mask >> k) & 1 ? [`s${k}`] : [])),
      retries: mask % 3,
      kind: mask % 5 === 0 && i > 0 ? 'decide' : 'train',
    }),
  ),
);

type Move = { readonly what: string; readonly pick: number; readonly old: boolean };
const moves = fc.array(
  fc.record({
    what: fc.constantFrom(
      'begin',
      'done',
      'no',
      'watch',
      'fail',
      'bad',
      'die',
      'release',
      'cancel',
      'resume',
      'tell',
    ),
    pick: fc.nat(20),
    old: fc.boolean(),
  }),
  { maxLength: 60 },
);

interface History {
  run: PipelineRun;
  /** Tokens ever given out, newest last. */
  readonly tokens: Array<readonly [step: string, token: string]>;
  readonly done: string[];
}

function play(history: History, { what, pick, old }: Move, n: number): void {
  const { run, tokens } = history;
  const running = run.steps.filter(({ state }) => state === 'running');
  const open = ready(run);
  const at = n + 10;
  const token = `t${n}`;
  const take = (record: StepRecord | undefined) => {
    if (record === undefined) return null;
    const by = { delivery: record.delivery, token, worker: 'w' };
    const next = begin(run, record.step.name, by, at);
    if (next !== null && recordOf(next, record.step.name).token === token)
      tokens.push([record.step.name, token]);
    return next;
  };
  const say = (tell: (name: string, token: string) => PipelineRun | null) => {
    const candidates = old
      ? tokens
      : running.map(({ step: { name }, token: own }) => [name, own ?? ''] as const);
    const chosen = candidates[pick % Math.max(1, candidates.length)];
    if (chosen === undefined) return null;
    const [name, own] = chosen;
    const holder = recordOf(run, name).state === 'running' && recordOf(run, name).token === own;
    const next = tell(name, own);
    expect(next !== null, 'only who holds the step is heard').toBe(holder);
    return next;
  };
  const next =
    what === 'begin'
      ? take(open[pick % Math.max(1, open.length)])
      : what === 'die'
        ? take(running[pick % Math.max(1, running.length)])
        : what === 'done'
          ? say((name, own) => settle(run, name, own, ok, run.told, at))
          : what === 'no'
            ? say((name, own) => settle(run, name, own, no, run.told, at))
            : what === 'watch'
              ? say((name, own) => settle(run, name, own, watch, run.told, at))
              : what === 'fail'
                ? say((name, own) => fail(run, name, own, { message: 'x', retriable: true }, at))
                : what === 'bad'
                  ? say((name, own) => fail(run, name, own, { message: 'x', retriable: false }, at))
                  : what === 'release'
                    ? say((name, own) => release(run, name, own, at))
                    : what === 'cancel'
                      ? pick === 0
                        ? cancel(run, 'enough', at)
                        : null
                      : what === 'resume'
                        ? resume(run, at)
                        : tell(run, run.told + 1, at);
  if (next === null) return;
  for (const record of next.steps) {
    const before = recordOf(run, record.step.name);
    if (before.state === 'done') expect(record, 'what is done stays').toEqual(before);
    else if (record.state === 'done') history.done.push(record.step.name);
    if (before.state !== 'running' && record.state === 'running')
      for (const need of record.step.needs)
        expect(recordOf(run, need).state, 'no step before those it needs').toBe('done');
  }
  expect(next.revision).toBeGreaterThan(run.revision);
  expect(next.at).toBeGreaterThan(run.at);
  expect(JSON.parse(JSON.stringify(next)), 'plain data').toEqual(next);
  history.run = next;
}

describe('a run of a pipeline', () => {
  it('keeps its laws under any course of events', () => {
    fc.assert(
      fc.property(graph, moves, (steps, course) => {
        const history: History = { run: runOf(...steps), tokens: [], done: [] };
        for (const [n, move] of course.entries()) play(history, move, n);
        expect(new Set(history.done).size, 'a step is done once').toBe(history.done.length);
        const { run } = history;
        if (isOver(run)) {
          expect(ready(run)).toEqual([]);
          expect(isSettled(run), 'a run that is over holds no tick').toBe(true);
          expect(run.steps.filter(({ state }) => state === 'running')).toEqual([]);
        }
        for (const record of ready(run)) expect(record.state).toBe('waiting');
      }),
      { numRuns: 500 },
    );
  });

  it('ends, whatever fails, when every step is tried as long as it may be', () => {
    fc.assert(
      fc.property(graph, fc.array(fc.constantFrom('done', 'no', 'fail', 'bad', 'die')), (steps, fates) => {
        let run = runOf(...steps);
        let n = 0;
        while (!isOver(run)) {
          const [record] = ready(run);
          const [lost] = run.steps.filter(({ state }) => state === 'running');
          const one = lost ?? record;
          if (one === undefined) throw new Error(`stuck: ${JSON.stringify(run.steps.map((s) => s.state))}`);
          const { name } = one.step;
          run = must(hold(run, name, `t${n}`));
          const fate = fates[n % Math.max(1, fates.length)] ?? 'done';
          n += 1;
          expect(n).toBeLessThan(200);
          if (recordOf(run, name).state !== 'running' || fate === 'die') continue;
          const token = recordOf(run, name).token ?? '';
          run = must(
            fate === 'fail' || fate === 'bad'
              ? fail(run, name, token, { message: fate, retriable: fate === 'fail' }, n)
              : settle(run, name, token, fate === 'no' ? no : ok, run.told, n),
          );
        }
        expect(isSettled(run)).toBe(true);
        expect(run.state).not.toBe('cancelled');
      }),
      { numRuns: 300 },
    );
  });

  it('begins a step when those before it are done, and gives later ones their results', () => {
    let run = runOf(
      step('a'),
      step('b', { needs: ['a'] }),
      step('c', { needs: ['a'] }),
      step('d', { needs: ['b', 'c'] }),
    );
    expect(run.state).toBe('waiting');
    expect(ready(run).map(({ step: { name } }) => name)).toEqual(['a']);
    run = finish(run, 'a');
    expect(run.state).toBe('running');
    expect(ready(run).map(({ step: { name } }) => name)).toEqual(['b', 'c']);
    expect(hold(run, 'd', 'x')).toBeNull();
    run = finish(finish(run, 'b'), 'c');
    expect(ancestors(run, 'd').map(({ step: { name }, result }) => [name, result])).toEqual([
      ['a', { a: 1 }],
      ['b', { a: 1 }],
      ['c', { a: 1 }],
    ]);
    expect(ancestors(run, 'b').map(({ step: { name } }) => name)).toEqual(['a']);
    run = finish(run, 'd');
    expect(run.state).toBe('done');
  });

  it('does not hear a worker that comes back from the dead', () => {
    const first = must(hold(runOf(step('a')), 'a', 'old'));
    const second = must(hold(first, 'a', 'new'));
    expect(recordOf(second, 'a')).toMatchObject({ attempt: 2, failures: 1, token: 'new' });
    expect(settle(second, 'a', 'old', ok, 0, 5)).toBeNull();
    expect(fail(second, 'a', 'old', { message: 'x', retriable: true }, 5)).toBeNull();
    expect(must(settle(second, 'a', 'new', ok, 0, 5)).state).toBe('done');
  });

  it('gives a step up that has killed its workers too often', () => {
    let run = must(hold(runOf(step('a', { retries: 1 })), 'a', 't1'));
    run = must(hold(run, 'a', 't2'));
    run = must(hold(run, 'a', 't3'));
    expect(recordOf(run, 'a')).toMatchObject({ state: 'failed', token: null });
    expect(recordOf(run, 'a').error).toContain('ended without an answer, 2 times');
    expect(run.state).toBe('failed');
  });

  it('tries again what may pass, ever later, and not what will not', () => {
    const held = must(hold(runOf(step('a', { retries: 2 })), 'a', 't'));
    const again = must(fail(held, 'a', 't', { message: 'away', retriable: true }, 1_000));
    expect(recordOf(again, 'a')).toMatchObject({
      state: 'waiting',
      notBefore: 2_000,
      delivery: 2,
      error: 'away',
    });
    expect(
      begin(again, 'a', { delivery: 1, token: 'x', worker: 'w' }, 5),
      'the older delivery is void',
    ).toBeNull();
    const second = must(
      fail(must(hold(again, 'a', 'u')), 'a', 'u', { message: 'away', retriable: true }, 5_000),
    );
    expect(recordOf(second, 'a').notBefore).toBe(7_000);
    const last = must(
      fail(must(hold(second, 'a', 'v')), 'a', 'v', { message: 'away', retriable: true }, 9_000),
    );
    expect(last.state).toBe('failed');
    expect(must(fail(held, 'a', 't', { message: 'wrong', retriable: false }, 1)).state).toBe('failed');
  });

  it('ends as refused where a step says no, and skips what needs it', () => {
    let run = runOf(step('gate'), step('register', { needs: ['gate'] }), step('mail'));
    run = must(settle(must(hold(run, 'gate', 't')), 'gate', 't', no, 0, 2));
    expect(recordOf(run, 'register')).toMatchObject({ state: 'skipped', note: 'gate said no' });
    expect(run.state).toBe('running');
    run = finish(run, 'mail');
    expect(run.state).toBe('refused');
    expect(resume(run, 9)).toBeNull();
  });

  it('goes on where it failed, and does nothing twice', () => {
    let run = finish(runOf(step('a'), step('b', { needs: ['a'] }), step('c', { needs: ['b'] })), 'a');
    run = must(fail(must(hold(run, 'b', 't')), 'b', 't', { message: 'x', retriable: false }, 5));
    expect(run.state).toBe('failed');
    run = must(resume(run, 6));
    expect(run.state).toBe('running');
    expect(ready(run).map(({ step: { name } }) => name)).toEqual(['b']);
    run = finish(finish(run, 'b'), 'c');
    expect(run.state).toBe('done');
    expect(recordOf(run, 'a').attempt).toBe(1);
  });

  it('does not let looks hold a tick, and looks once a tick', () => {
    const steps = [
      step('register', { kind: 'register' }),
      step('shadow', { kind: 'shadow', needs: ['register'] }),
      step('decide', { kind: 'decide', needs: ['shadow'] }),
    ];
    let run = runOf(...steps);
    expect(isSettled(run)).toBe(false);
    run = finish(run, 'register');
    expect(isSettled(run)).toBe(true);
    expect(run.state).toBe('shadowing');
    run = must(settle(must(hold(run, 'shadow', 't')), 'shadow', 't', watch, run.told, 5));
    expect(run.state).toBe('shadowing');
    expect(ready(run)).toEqual([]);
    expect(tell(run, 100, 6), 'it knows of that tick').toBeNull();
    run = must(tell(run, 200, 7));
    expect(ready(run).map(({ step: { name } }) => name)).toEqual(['shadow']);
    const held = must(hold(run, 'shadow', 'u'));
    const told = must(tell(held, 300, 8));
    run = must(settle(told, 'shadow', 'u', watch, held.told, 9));
    expect(
      ready(run).map(({ step: { name } }) => name),
      'a tick that came meanwhile',
    ).toEqual(['shadow']);
    run = must(cancel(run, 'enough', 10));
    expect(run.state).toBe('cancelled');
    expect(tell(run, 400, 11)).toBeNull();
  });

  it('takes the token from whoever holds a step of a cancelled run', () => {
    const run = must(cancel(must(hold(runOf(step('a')), 'a', 't')), 'enough', 5));
    expect(settle(run, 'a', 't', ok, 0, 6)).toBeNull();
    expect(cancel(run, 'again', 7)).toBeNull();
    expect(ready(must(resume(run, 8)))).toHaveLength(1);
  });
});
