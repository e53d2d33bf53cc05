/** Child of parquet.ts: takes `{sql}` on its standard input, writes the answer's bytes to its standard output. */
import { text } from 'node:stream/consumers';

const { sql } = JSON.parse(await text(process.stdin)) as { sql: string };
try {
  const { queryAsync } = await import('chdb');
  const format = /\bFORMAT\s+(\w+)\s*$/i.exec(sql);
  const answer = await queryAsync(format === null ? sql : sql.slice(0, format.index), {
    format: format?.[1] ?? 'RowBinary',
  });
  const bytes = answer.bytes();
  for (let at = 0; at < bytes.length; at += 1 << 20)
    if (!process.stdout.write(bytes.subarray(at, at + (1 << 20))))
      await new Promise((resolve) => process.stdout.once('drain', resolve));
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
