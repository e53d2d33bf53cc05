import type { Readable } from 'node:stream';
import { parseError } from '@clickhouse/client';
import { HttpAnswer } from './http-answer.ts';

/** The error that an answer tells: ClickHouse's own where it wrote one, else what HTTP says. */
export function answeredError(status: number, text: string): Error {
  const error = parseError(text);
  return 'code' in error ? error : new HttpAnswer(status, text);
}

/** Throws past `most` bytes. */
export async function textOf(stream: Readable, most = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Buffer).byteLength;
    if (bytes > most)
      throw new Error(`its answer has more than ${most / 1e6} MB: ask for fewer rows or columns`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Rows of an answer in JSONEachRow. An error that ClickHouse meets after it began to answer stands among them. */
export function jsonRows<Row>(text: string): Row[] {
  const rows: Row[] = [];
  let at = 0;
  while (at < text.length) {
    const found = text.indexOf('\n', at);
    const end = found < 0 ? text.length : found;
    const line = text.slice(at, end).trim();
    if (line !== '')
      try {
        rows.push(JSON.parse(line) as Row);
      } catch {
        throw answeredError(200, text.slice(at));
      }
    at = end + 1;
  }
  return rows;
}
