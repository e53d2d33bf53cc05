import type { AskedRows, Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { Problem } from '../problem.ts';
import { askWarehouse } from '../sql.ts';
import { MAX_ROWS, type Table } from './table.ts';

/** A query of a job may take longer than one that somebody waits for. */
const TIME_MS = 60_000;

/** The forms that rows of a query are answered in. */
export const QUERY_FORMS = { csv: 'text/csv', ndjson: 'application/x-ndjson' } as const;
export type QueryForm = keyof typeof QUERY_FORMS;

/** The rows of a query, as a table that somebody sent. Throws Problem; WarehouseError where the warehouse is away. */
export async function queryTable(
  warehouse: Pick<Warehouse, 'ask'>,
  sql: string,
  form: QueryForm,
): Promise<Table> {
  const answer = await askWarehouse(warehouse, sql, { rows: MAX_ROWS, timeMs: TIME_MS });
  if (answer.cut)
    throw new Problem(
      413,
      'too_many_rows',
      `The query has more than ${MAX_ROWS} rows: ask in parts, by time say.`,
    );
  if (answer.rows.length === 0) throw new Problem(422, 'no_rows', 'The query has no rows.');
  return tableOf(answer, form);
}

function tableOf({ columns, rows }: AskedRows, form: QueryForm): Table {
  const names = columns.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined)
    throw new Problem(422, 'bad_header', `Two columns of the query are named '${twice}': name one with AS.`);
  return {
    type: QUERY_FORMS[form],
    columns: names,
    rows: rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]]))),
  };
}
