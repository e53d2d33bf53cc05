import type { Connection } from './clickhouse-engine.ts';
import { ClickHouseFault, contentTypeOf } from './clickhouse-http.ts';
import type { Sessions } from './clickhouse-sessions.ts';
import { identifier, isRead, literal, type Statement, scanStatement } from './clickhouse-sql.ts';

export type Reply = { status: number; headers: Record<string, string>; body: Buffer };

/** What a request says: its address line, the two headers that stand in for a part of it, its body. */
export type StatementRequest = {
  method: string;
  query: URLSearchParams;
  database: string | undefined;
  format: string | undefined;
  body: Buffer;
};

/** Of the HTTP interface itself: never a setting of the engine. */
const reserved = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'compress',
  'decompress',
  'user',
  'password',
  'quota_key',
  'stacktrace',
  'buffer_size',
  'wait_end_of_query',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'client_protocol_version',
  'enable_http_compression',
]);

/** Runs the one statement of a request on a connection of its own, or of its session. */
export async function runStatement(sessions: Sessions, request: StatementRequest): Promise<Reply> {
  const { query, body } = request;
  const head = Buffer.from((query.get('query') ?? '').trim());
  // As the server does it: one text, of which the data of an INSERT is the end.
  const text =
    head.length > 0 && body.length > 0
      ? Buffer.concat([head, lineBreak, body])
      : head.length > 0
        ? head
        : body;
  const statement = scanStatement(text);
  const readonly = request.method === 'GET' || request.method === 'HEAD';
  refuseWhatIsMissing(query, statement);
  if (readonly && !isRead(statement) && statement.keyword !== 'set' && statement.keyword !== 'use') {
    throw new ClickHouseFault(
      164,
      'READONLY',
      'Cannot execute query in readonly mode: for queries over HTTP, method GET implies readonly. Use method POST for modifying queries.',
    );
  }
  const sessionId = query.get('session_id') ?? undefined;
  const session = {
    id: sessionId,
    check: query.get('session_check') === '1',
    timeoutMs: Number(query.get('session_timeout') ?? 60) * 1000,
  };
  return sessions.use(session, async (connection) => {
    const database = query.get('database') ?? request.database;
    if (database) await connection.query(`USE ${identifier(database)}`, 'Null');
    const restore = await applySettings(connection, query, {
      readonly: readonly && sessionId === undefined,
      keep: sessionId !== undefined,
    });
    try {
      const format = query.get('default_format') ?? request.format ?? 'TabSeparated';
      return await execute(connection, statement, text, format);
    } finally {
      await restore();
    }
  });
}

const lineBreak = Buffer.from('\n');

function refuseWhatIsMissing(query: URLSearchParams, statement: Statement): void {
  if (query.get('decompress') === '1' || query.get('compress') === '1') {
    throw new ClickHouseFault(
      48,
      'NOT_IMPLEMENTED',
      'compress and decompress (LZ4 blocks) are not supported here: use Content-Encoding and enable_http_compression with gzip.',
    );
  }
  if (statement.several) {
    throw new ClickHouseFault(
      62,
      'SYNTAX_ERROR',
      'Syntax error (Multi-statements are not allowed): send one statement a request.',
    );
  }
  if (statement.namesFile) {
    throw new ClickHouseFault(
      48,
      'NOT_IMPLEMENTED',
      'INFILE and OUTFILE are not allowed over HTTP: send the rows in the body, and read them from the answer.',
    );
  }
  // The engine would read no row, and say that all went well.
  if (statement.readsInput) {
    throw new ClickHouseFault(
      48,
      'NOT_IMPLEMENTED',
      'input() is not supported by the embedded engine: insert into the table itself.',
    );
  }
}

async function execute(
  connection: Connection,
  statement: Statement,
  text: Buffer,
  format: string,
): Promise<Reply> {
  const headers: Record<string, string> = {};
  if (statement.insert) {
    const written = await insert(connection, statement, text);
    headers['X-ClickHouse-Summary'] = summary({
      writtenRows: written.rowsWritten,
      writtenBytes: written.bytesWritten,
      elapsed: written.elapsed,
    });
    return { status: 200, headers, body: Buffer.alloc(0) };
  }
  const result = await connection.query(text.toString(), format);
  const bytes = Buffer.from(result.bytes.buffer, result.bytes.byteOffset, result.bytes.byteLength);
  const name = statement.format ?? format;
  headers['X-ClickHouse-Format'] = name;
  headers['Content-Type'] = contentTypeOf(name);
  headers['X-ClickHouse-Summary'] = summary({
    readRows: result.rowsRead,
    readBytes: result.bytesRead,
    resultBytes: bytes.length,
    elapsed: result.elapsed,
  });
  return { status: 200, headers, body: bytes };
}

function insert(connection: Connection, statement: Statement, text: Buffer) {
  if (statement.formatEnd < 0) return connection.insert(text.toString());
  const into = text.toString('utf8', 0, statement.clausesAt);
  const clauses = text.toString('utf8', statement.clausesAt, statement.formatEnd);
  return connection.insertBytes(into, clauses, text.subarray(dataStart(text, statement.formatEnd)));
}

/** Data begins behind the blanks after the format's name and one line break (ParserInsertQuery). */
function dataStart(text: Buffer, from: number): number {
  let at = from;
  while (text[at] === 32 || text[at] === 9 || text[at] === 12) at++;
  if (text[at] === 13) at++;
  if (text[at] === 10) at++;
  return at;
}

function summary(of: {
  readRows?: number;
  readBytes?: number;
  writtenRows?: number;
  writtenBytes?: number;
  resultBytes?: number;
  elapsed: number;
}): string {
  return JSON.stringify({
    read_rows: String(of.readRows ?? 0),
    read_bytes: String(of.readBytes ?? 0),
    written_rows: String(of.writtenRows ?? 0),
    written_bytes: String(of.writtenBytes ?? 0),
    total_rows_to_read: String(of.readRows ?? 0),
    result_rows: '0',
    result_bytes: String(of.resultBytes ?? 0),
    elapsed_ns: String(Math.round(of.elapsed * 1e9)),
  });
}

/**
 * Settings and `param_*` of the address line. A session's connection lives on, so there the values from
 * before come back afterwards; parameters cannot be unset and stay until their next use.
 */
async function applySettings(
  connection: Connection,
  query: URLSearchParams,
  how: { readonly: boolean; keep: boolean },
): Promise<() => Promise<void>> {
  const settings = [...query].filter(([name]) => !reserved.has(name));
  const named = settings.filter(([name]) => !name.startsWith('param_')).map(([name]) => name);
  const invalid = settings.find(([name]) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (invalid) throw new ClickHouseFault(115, 'UNKNOWN_SETTING', `Unknown setting '${invalid[0]}'.`);
  let before: [string, string, number][] = [];
  if (how.keep && named.length > 0) {
    const sql = `SELECT name, value, changed FROM system.settings WHERE name IN (${named.map(literal).join(', ')})`;
    const lines = Buffer.from((await connection.query(sql, 'JSONCompactEachRow')).bytes)
      .toString()
      .split('\n');
    before = lines.filter(Boolean).map((line) => JSON.parse(line) as [string, string, number]);
  }
  const assignments = settings.map(([name, value]) => `${name} = ${literal(value)}`);
  // Last, since nothing can be set after it.
  if (how.readonly && !named.includes('readonly')) assignments.push('readonly = 2');
  if (assignments.length > 0) await connection.query(`SET ${assignments.join(', ')}`, 'Null');
  return async () => {
    if (before.length === 0) return;
    const back = before.map(([name, value, changed]) => `${name} = ${changed ? literal(value) : 'DEFAULT'}`);
    await connection.query(`SET ${back.join(', ')}`, 'Null');
  };
}
