import { readFileSync } from 'node:fs';
import {
  type Binnings,
  type DriftSource,
  numberBinning,
  type Range,
} from '../../../infrastructure/clickhouse/drift-sql.ts';
import {
  fillTemplate,
  integer,
  literal,
  ranged,
  splitColumns,
} from '../../../infrastructure/clickhouse/drift-text.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import { groupCount } from '../../../models/drift/binning.ts';
import { nothing, statusOf } from '../../../models/drift/compare.ts';
import { chiSquaredOf, ksP, twoProportions } from '../../../models/drift/significance.ts';
import type { Binning, Comparison } from '../../../models/drift/types.ts';

const EXACT = readFileSync(new URL('./drift-exact.sql', import.meta.url), 'utf8');

/** Above every group of a binning. */
const MISSING = 1_000;

interface Figures {
  readonly c: number;
  readonly rows_r: number;
  readonly rows_c: number;
  readonly missing_r: number;
  readonly missing_c: number;
  readonly psi: number;
  readonly js: number;
  readonly chi_squared: number;
  readonly degrees: number;
  readonly chi_effect: number;
  readonly ks: number;
  readonly wasserstein: number;
  readonly deviation: number;
  readonly unseen_r: number;
  readonly unseen_c: number;
  readonly min_r: number;
  readonly max_r: number;
  readonly min_c: number;
  readonly max_c: number;
}

/**
 * Every statistic of the columns of numbers inside ClickHouse, from the rows themselves: KS and Wasserstein are
 * exact, over all values, where those of summaries are taken at cells. Only the p values, which need special
 * functions that ClickHouse has not, come from here.
 */
export async function driftInSql(
  warehouse: Warehouse,
  source: DriftSource,
  binnings: Binnings,
  reference: Range,
  current: Range,
): Promise<Record<string, Comparison>> {
  const only = (range: Range) =>
    `SELECT numbers FROM (${ranged(source.select, range)})
     WHERE at >= fromUnixTimestamp64Milli(${integer(range.from)}, 'UTC')
       AND at < fromUnixTimestamp64Milli(${integer(range.to)}, 'UTC')`;
  const all: Record<string, Comparison> = Object.fromEntries(source.numbers.map((name) => [name, nothing]));
  const texts = source.numbers.map((name, i) => groupText(numberBinning(binnings, name), i + 1));
  const lasts = source.numbers.map((name) => groupCount(numberBinning(binnings, name)) - 1);
  for (const { start, texts: groups } of splitColumns(texts)) {
    const sql = fillTemplate(EXACT, {
      REFERENCE: only(reference),
      CURRENT: only(current),
      START: start,
      LENGTH: groups.length,
      GROUPS: groups.join(', '),
      LAST: lasts.slice(start - 1, start - 1 + groups.length).join(', '),
      MISSING,
    });
    for (const row of await warehouse.query<Figures>(sql, source.parameters)) {
      const name = source.numbers[start + row.c - 2];
      if (name !== undefined) all[name] = comparisonOf(row, numberBinning(binnings, name));
    }
  }
  return all;
}

function comparisonOf(row: Figures, binning: Binning): Comparison {
  const rows = { referenceRows: row.rows_r, currentRows: row.rows_c };
  if (row.rows_r === 0 || row.rows_c === 0) return { ...nothing, ...rows };
  const [n, m] = [row.rows_r - row.missing_r, row.rows_c - row.missing_c];
  const both = n > 0 && m > 0;
  const unseen = binning.discrete ? twoProportions(row.unseen_r, row.rows_r, row.unseen_c, row.rows_c) : null;
  return {
    status: statusOf(
      { rows: row.rows_r, missing: row.missing_r, min: row.min_r, max: row.max_r },
      { rows: row.rows_c, missing: row.missing_c, min: row.min_c, max: row.max_c },
    ),
    ...rows,
    psi: row.psi,
    js: row.js,
    ks: both ? row.ks : null,
    ksP: both ? ksP(row.ks, n, m) : null,
    wasserstein: both ? row.wasserstein : null,
    wassersteinScaled: both && row.min_r !== row.max_r ? row.wasserstein / row.deviation : null,
    chiSquared: { ...chiSquaredOf(row.chi_squared, row.degrees), effect: row.chi_effect },
    missing: twoProportions(row.missing_r, row.rows_r, row.missing_c, row.rows_c),
    unseen,
    unseenShare: unseen?.current ?? null,
  };
}

/** Number of the group of the number at `place`. */
function groupText(binning: Binning, place: number): string {
  const { edges, groups } = binning;
  const changes = edges.flatMap((edge, i) =>
    groups[i + 1] === groups[i] ? [] : [[edge, groups[i + 1]] as const],
  );
  const first = groups[0] ?? 0;
  if (changes.length === 0) return `toUInt16(${first})`;
  const bounds = changes.map(([edge]) => literal(edge)).join(', ');
  const own = changes.map(([, group]) => group).join(', ');
  return `toUInt16(transform(roundDown(numbers[${place}], [-inf, ${bounds}]), [${bounds}], [${own}], ${first}))`;
}
