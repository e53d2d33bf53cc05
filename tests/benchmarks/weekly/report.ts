import { table } from '../../../cli/format.ts';
import type { Difference, Figures } from './figures.ts';

export interface Week {
  /** Where it begins, epoch ms. */
  readonly from: number;
  readonly flights: number;
  /** Served by the loop: whoever was champion at the request. */
  readonly loop: Figures;
  readonly january: Figures;
  /** January's log loss - the loop's: what the loop gains. */
  readonly gain: Difference;
  readonly events: readonly string[];
}

export interface WeeklyReport {
  readonly trainer: string;
  readonly weeks: readonly Week[];
  readonly all: Pick<Week, 'loop' | 'january' | 'gain'>;
  readonly promotions: ReadonlyArray<{
    /** Event time of the first request, epoch ms. */
    readonly at: number;
    readonly version: number;
    /** Log loss of the new version - that of the one before it, in the week after; null where too little is left of it. */
    readonly nextWeek: Difference | null;
  }>;
  readonly refusals: number;
  readonly rollbacks: number;
}

const interval = ({ value, low, high }: Difference) =>
  `${value.toFixed(4)} [${low.toFixed(4)}, ${high.toFixed(4)}]`;
const day = (time: number) => new Date(time).toISOString().slice(0, 10);

export function weeklyLines({
  trainer,
  weeks,
  all,
  promotions,
  refusals,
  rollbacks,
}: WeeklyReport): readonly string[] {
  const row = (
    name: string,
    flights: number,
    { loop, january, gain }: WeeklyReport['all'],
    events: string,
  ) => [
    name,
    flights.toLocaleString('en-US'),
    january.logLoss.toFixed(4),
    january.calibrationError.toFixed(4),
    loop.logLoss.toFixed(4),
    loop.calibrationError.toFixed(4),
    interval(gain),
    events,
  ];
  const right = (title: string) => ({ title, align: 'right' as const });
  const worse = promotions.filter(({ nextWeek }) => nextWeek !== null && nextWeek.low > 0);
  return [
    ...table(
      [
        { title: `week (${trainer})` },
        right('flights'),
        right('January: log loss'),
        right('calib. error'),
        right('loop: log loss'),
        right('calib. error'),
        right('gain [95 %]'),
        { title: 'what happened' },
      ],
      [
        ...weeks.map((week) => row(day(week.from), week.flights, week, week.events.join('; '))),
        row(
          'all',
          weeks.reduce((sum, { flights }) => sum + flights, 0),
          all,
          `${promotions.length} promotions, ${refusals} refusals, ${rollbacks} rollbacks`,
        ),
      ],
    ),
    '',
    'promotions: loss of the new - loss of the old in the week after',
    ...promotions.map(
      ({ at, version, nextWeek }) =>
        `  v${version} ${day(at)}  ${nextWeek === null ? 'no week after' : interval(nextWeek)}`,
    ),
    `${worse.length} of ${promotions.length} made the next week worse beyond its interval`,
  ];
}
