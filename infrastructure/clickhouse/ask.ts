import type { ClickHouseSettings } from '@clickhouse/client';
import { answeredError } from './answer.ts';
import type { AskedRows, AskLimits } from './port.ts';

/** Memory of one statement, bytes. */
const MOST_MEMORY = 2_000_000_000;
/** Of an answer, which is held in memory here. */
export const MOST_ANSWER_BYTES = 100_000_000;

/**
 * `readonly=1` refuses whatever writes, and any change of settings, so that a statement cannot lift its own limits. One row more
 * than asked for tells that there are more.
 */
export const askSettings = ({ rows, timeMs }: AskLimits): ClickHouseSettings => ({
  max_execution_time: Math.ceil(timeMs / 1_000),
  max_result_rows: String(rows + 1),
  result_overflow_mode: 'break',
  max_memory_usage: String(MOST_MEMORY),
  readonly: '1',
});

interface JsonCompact {
  readonly meta: ReadonlyArray<{ readonly name: string; readonly type: string }>;
  readonly data: ReadonlyArray<readonly unknown[]>;
}

/** Reads an answer in JSONCompact; the server stops at whole blocks, so that it may hold more rows. */
export function askedRows(text: string, most: number): AskedRows {
  let answer: JsonCompact;
  try {
    answer = JSON.parse(text) as JsonCompact;
  } catch {
    throw answeredError(200, text);
  }
  const { meta, data } = answer;
  return { columns: meta, rows: data.slice(0, most), cut: data.length > most };
}
