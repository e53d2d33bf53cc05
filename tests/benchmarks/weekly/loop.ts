import { guardVerdict, observeGuard, startGuard } from '../../../models/rollout/guard.ts';
import { judgeOffline } from '../../../models/rollout/offline-gate.ts';
import { observeShadow, shadowVerdict, startShadow } from '../../../models/rollout/sequential.ts';
import type { Scorer } from '../../../models/scorer.ts';
import type { DataSet } from '../../../pipelines/training/dataset.ts';
import type { Model, Project } from '../../../schemas/project.ts';
import { DAY, HOUR } from '../../../schemas/time.ts';
import { figuresOf, PairedDays, WEEK } from './figures.ts';
import { fitScorer } from './fit.ts';
import type { WeeklyReport } from './report.ts';

interface Options {
  readonly project: Project;
  readonly model: Model;
  /** In order of time. */
  readonly data: DataSet;
  readonly trainRows: number;
  readonly last: number;
  readonly say: (message: string) => void;
}

interface Version {
  readonly version: number;
  /** Of every row; filled in where it was asked. */
  readonly scores: Float64Array;
  readonly scorer: Scorer;
  /** It learnt from nothing later, epoch ms. */
  readonly learntTo: number;
}

const LATENCY = 2 * HOUR;
/** The January model, and the loop's first, learn from these four weeks. */
const FIRST = { from: Date.UTC(2001, 0, 8), to: Date.UTC(2001, 1, 5) };

/** The whole half year, by the rules that the model declares. Labels are known when the flight has landed. */
export async function runWeeks({
  project,
  model,
  data,
  trainRows,
  last,
  say,
}: Options): Promise<WeeklyReport> {
  const { times, labels } = data;
  const width = model.features.length;
  const at = (time: number): number => lowerBound(times, time);
  const train = async (version: number, from: number, to: number): Promise<Version> => {
    const rows = sampled(at(from), at(to), trainRows);
    const scorer = await fitScorer(project, model, data, rows);
    return { version, scorer, learntTo: to, scores: new Float64Array(times.length).fill(Number.NaN) };
  };
  const scored = ({ scorer, scores }: Version, from: number, to: number): Float64Array => {
    for (let row = from; row < to; row += 1)
      if (Number.isNaN(scores[row] as number))
        scores[row] = scorer.score(data.rows.subarray(row * width, (row + 1) * width));
    return scores.subarray(from, to);
  };

  const january = await train(1, FIRST.from, FIRST.to);
  const { rollout } = model;
  let champion = january;
  let previous: Version | null = null;
  // Side by side; when another takes over, their tests begin anew.
  let challengers: Array<{ readonly model: Version; state: ReturnType<typeof startShadow> }> = [];
  let guard: ReturnType<typeof startGuard> | null = null;
  let versions = 1;
  let [refusals, rollbacks] = [0, 0];
  const served = new Float64Array(times.length).fill(Number.NaN);
  const promotions: Array<{ at: number; version: number; before: Version; after: Version }> = [];
  const weeks: Array<{ from: number; events: string[] }> = [];

  // A week later, so that there is a week that neither has learnt from.
  for (let monday = FIRST.to + WEEK; at(monday) < times.length; monday += WEEK) {
    const events: string[] = [];
    weeks.push({ from: monday, events });
    const cut = monday - rollout.gate.testLast;
    const candidate = await train(versions + 1, Math.max(FIRST.from, monday - last), cut);
    versions += 1;
    const test = [at(Math.max(cut, champion.learntTo)), at(monday)] as const;
    const verdict = judgeOffline(
      {
        labels: labels.subarray(...test),
        candidate: scored(candidate, ...test),
        champion: scored(champion, ...test),
        times: times.subarray(...test),
      },
      rollout.gate,
    );
    if (verdict.pass) {
      challengers.push({ model: candidate, state: startShadow(rollout.shadow, monday + LATENCY) });
      events.push(`v${candidate.version} shadows`);
    } else {
      refusals += 1;
      events.push(
        `v${candidate.version} refused at the gate: ${verdict.objections.map(({ code }) => code).join(', ')}`,
      );
    }
    for (let day = monday; day < monday + WEEK; day += DAY) {
      const [from, to] = [at(day), at(day + DAY)];
      served.set(scored(champion, from, to), from);
      const rows = { times: times.subarray(from, to), labels: labels.subarray(from, to) };
      if (guard !== null && previous !== null) {
        guard = observeGuard(
          guard,
          { ...rows, champion: scored(champion, from, to), previous: scored(previous, from, to) },
          day + DAY,
        );
        const { decision, code } = guardVerdict(guard);
        if (decision === 'rollback') {
          events.push(`v${champion.version} rolled back to v${previous.version}: ${code}`);
          rollbacks += 1;
          champion = previous;
          for (const other of challengers) other.state = startShadow(rollout.shadow, day + DAY);
        }
        if (decision !== 'watch') [guard, previous] = [null, null];
      }
      for (const challenger of [...challengers]) {
        challenger.state = observeShadow(
          challenger.state,
          { ...rows, champion: served.subarray(from, to), challenger: scored(challenger.model, from, to) },
          day + DAY,
        );
        const { decision, code } = shadowVerdict(challenger.state);
        const { version } = challenger.model;
        if (decision === 'watch') continue;
        challengers = challengers.filter((one) => one !== challenger);
        if (decision === 'refuse') {
          events.push(`v${version} refused in shadow: ${code}`);
          refusals += 1;
          continue;
        }
        events.push(`v${version} promoted ${new Date(day + DAY).toISOString().slice(5, 10)}`);
        promotions.push({ at: day + DAY, version, before: champion, after: challenger.model });
        previous = champion;
        champion = challenger.model;
        guard = startGuard({ ...rollout.guard, block: rollout.shadow.block }, day + DAY);
        for (const other of challengers) other.state = startShadow(rollout.shadow, day + DAY);
        break;
      }
    }
    say(`${new Date(monday).toISOString().slice(0, 10)}  ${events.join('; ')}`);
  }

  const [start, end] = [at(FIRST.to + WEEK), times.length];
  const judge = (from: number, to: number) => {
    const of = labels.subarray(from, to);
    return {
      loop: figuresOf(served.slice(from, to), of),
      january: figuresOf(scored(january, from, to).slice(), of),
      gain: new PairedDays()
        .add(scored(january, from, to), served.subarray(from, to), of, times.subarray(from, to))
        .difference(),
    };
  };
  return {
    trainer: model.trainer.name,
    weeks: weeks.map(({ from, events }) => {
      const [first, next] = [at(from), at(from + WEEK)];
      return { from, flights: next - first, ...judge(first, next), events };
    }),
    all: judge(start, end),
    promotions: promotions.map(({ at: time, version, before, after }) => {
      const [first, next] = [at(time), at(time + WEEK)];
      const nextWeek =
        next - first < 100
          ? null
          : new PairedDays()
              .add(
                scored(after, first, next),
                scored(before, first, next),
                labels.subarray(first, next),
                times.subarray(first, next),
              )
              .difference();
      return { at: time, version, nextWeek };
    }),
    refusals,
    rollbacks,
  };
}

/** Row numbers of [from, to), evenly thinned to at most `most`: the data set itself is in order of time. */
function sampled(from: number, to: number, most: number): Uint32Array {
  const rows = Math.min(to - from, most);
  return Uint32Array.from({ length: rows }, (_, i) => from + Math.floor((i * (to - from)) / rows));
}

function lowerBound(times: Float64Array, time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] as number) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
