import type { Aggregation, ColumnKind } from '../schemas/view.ts';
import type { Place } from './document.ts';
import { parseDuration } from './durations.ts';
import { listOf } from './lists.ts';
import { inside } from './reporter.ts';
import { EVENTS_OF_ROOM } from './tiles.ts';
import type { ViewContext } from './view-context.ts';
import type { FeatureDeclaration } from './view-declaration.ts';

/** What each aggregation needs of its declaration. */
interface Need {
  readonly of: 'none' | 'optional' | 'condition' | 'value' | 'any';
  /** Values are added up: they need a range, so that sums stay exact. */
  readonly adds: boolean;
  readonly squares: boolean;
  readonly periodic: boolean;
}

const need = (of: Need['of'], adds = false, squares = false, periodic = true): Need => ({
  of,
  adds,
  squares,
  periodic,
});

export const NEEDS: Readonly<Record<Aggregation, Need>> = {
  count: need('none'),
  sum: need('value', true),
  mean: need('value', true),
  min: need('value'),
  max: need('value'),
  variance: need('value', true, true),
  stddev: need('value', true, true),
  share: need('condition'),
  last: need('value'),
  seconds_since_last: need('optional', false, false, false),
  decayed_sum: need('value', true, false, false),
  decayed_mean: need('value', true, false, false),
  distinct: need('any', false, false, false),
  quantile: need('value', false, false, false),
};

const COLUMNS: Readonly<
  Record<Exclude<Aggregation, 'variance' | 'stddev' | 'distinct' | 'quantile'>, readonly ColumnKind[]>
> = {
  count: ['count'],
  sum: ['sum'],
  mean: ['sum', 'count'],
  share: ['sum', 'count'],
  min: ['min'],
  max: ['max'],
  last: ['last_time', 'last_value'],
  seconds_since_last: ['last_time', 'last_value'],
  decayed_sum: ['sum'],
  decayed_mean: ['sum', 'count'],
};

/** Largest integer whose square still leaves room, in one column and in two limbs of 2^26. */
const ONE_LIMB = Math.floor(Math.sqrt(Number.MAX_SAFE_INTEGER / EVENTS_OF_ROOM));

const TWO_LIMBS = Math.floor(Math.sqrt((Number.MAX_SAFE_INTEGER / EVENTS_OF_ROOM) * 2 ** 26));

const ONE_SUM = Math.floor(Number.MAX_SAFE_INTEGER / EVENTS_OF_ROOM);

export function columnKinds(aggregation: Aggregation, largest: number): readonly ColumnKind[] {
  if (aggregation === 'variance' || aggregation === 'stddev')
    return largest <= ONE_LIMB ? ['sum', 'count', 'square'] : ['sum', 'count', 'square_high', 'square_low'];
  if (aggregation === 'distinct' || aggregation === 'quantile') return [];
  return COLUMNS[aggregation];
}

/** Problems of a feature's own keys, before anything is compiled. */
export function checkKeys(feature: FeatureDeclaration, place: Place, context: ViewContext): boolean {
  const { reporter } = context;
  const before = reporter.problems.length;
  const aggregations = listOf(feature.aggregation);
  const said = new Set<string>();
  const say = (key: string | null, message: string, mend: string) => {
    // Of several aggregations that miss the same key, one speaks.
    if (said.has(mend)) return;
    said.add(mend);
    reporter.report(key === null || !(key in feature) ? place : inside(place, key), message, mend);
  };
  const kinds = new Set(
    aggregations.map((one) => NEEDS[one].of).filter((of) => of !== 'optional' && of !== 'any'),
  );
  const odd = aggregations.find((one) => NEEDS[one].of !== NEEDS[aggregations[0] ?? 'count'].of);
  if (kinds.size > 1 && odd !== undefined)
    say(
      'aggregation',
      `'${aggregations[0]}' and '${odd}' read different things.`,
      'Declare them as two features.',
    );
  for (const aggregation of aggregations) {
    const { of, adds } = NEEDS[aggregation];
    if (of === 'none' && feature.of !== undefined)
      say('of', `'${aggregation}' counts events and takes no 'of'.`, "Use 'where' to count some of them.");
    if (of !== 'none' && of !== 'optional' && feature.of === undefined)
      say(
        null,
        `'${aggregation}' needs 'of'.`,
        of === 'condition' ? "Add 'of:' with a condition." : "Add 'of:' with the value of an event.",
      );
    if (of === 'value' && feature.scale === undefined)
      say(
        null,
        `'${aggregation}' needs 'scale'.`,
        "Add 'scale: 1' for whole numbers, 'scale: 100' to keep two decimals.",
      );
    if (adds && feature.range === undefined)
      say(
        null,
        `'${aggregation}' adds values up and needs 'range'.`,
        "Add 'range: [smallest, largest]'; what lies outside is clipped.",
      );
    if (aggregation.startsWith('decayed_') && feature.half_life === undefined)
      say(null, `'${aggregation}' needs 'half_life'.`, "Add 'half_life: 1h'.");
    if (aggregation === 'quantile' && feature.quantiles === undefined)
      say(null, "'quantile' needs 'quantiles'.", "Add 'quantiles: [0.5, 0.95]'.");
  }
  const { range, scale = 1 } = feature;
  if (range !== undefined && range[0] >= range[1])
    say('range', `The range goes from ${range[0]} to ${range[1]}.`, 'Write the smaller value first.');
  if (range !== undefined)
    checkSize(feature, aggregations, Math.max(Math.abs(range[0]), Math.abs(range[1])) * scale, say);
  if (feature.half_life !== undefined && (parseDuration(feature.half_life) ?? 0) <= 0)
    say('half_life', "'half_life' is not above zero.", "Write it as '1h'.");
  return reporter.problems.length === before;
}

function checkSize(
  feature: FeatureDeclaration,
  aggregations: readonly Aggregation[],
  largest: number,
  say: (key: string, message: string, mend: string) => void,
): void {
  const squares = aggregations.find((one) => NEEDS[one].squares);
  const adds = aggregations.find((one) => NEEDS[one].adds);
  const limit = squares !== undefined ? Math.min(TWO_LIMBS, ONE_SUM) : ONE_SUM;
  if (adds === undefined || largest <= limit) return;
  say(
    'range',
    `'${squares ?? adds}' of values up to ${largest.toLocaleString('en')} (range times scale) would not stay exact: at most ${limit.toLocaleString('en')} fits.`,
    `Narrow the range, or lower the scale of '${feature.name}'.`,
  );
}
