import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib';

/** An error as ClickHouse's HTTP interface tells it: a code of its own and a message that names it. */
export class ClickHouseFault extends Error {
  readonly code: number;

  constructor(code: number, type: string, text: string) {
    super(`Code: ${code}. DB::Exception: ${text} (${type})`);
    this.name = 'ClickHouseFault';
    this.code = code;
  }
}

/** Reads `Code: N. DB::Exception: …` as the engine throws it. 1002 is ClickHouse's UNKNOWN_EXCEPTION. */
export function faultOf(error: unknown): { code: number; message: string } {
  const message = error instanceof Error ? error.message.trim() : String(error);
  const code = Number(/^Code: (\d+)\./.exec(message)?.[1] ?? Number.NaN);
  if (Number.isNaN(code))
    return { code: 1002, message: `Code: 1002. DB::Exception: ${message} (UNKNOWN_EXCEPTION)` };
  return { code, message };
}

const badRequest = [6, 26, 27, 28, 33, 36, 38, 41, 43, 53, 62, 70, 72, 117, 130, 131, 190, 427, 457];
const notFound = [16, 46, 47, 50, 51, 56, 60, 63, 67, 73, 78, 81, 115, 336, 456];

/** HTTP status of an error code, as exceptionCodeToHTTPStatus in ClickHouse's server does it. */
export function statusOf(code: number): number {
  if (badRequest.includes(code)) return 400;
  if (notFound.includes(code)) return 404;
  if (code === 194) return 401;
  if (code === 192 || code === 193 || code === 516) return 403;
  if (code === 159) return 408;
  if (code === 66) return 413;
  if (code === 48) return 501;
  return 500;
}

export function contentTypeOf(format: string): string {
  if (/^(JSON(Compact|Strings|CompactStrings)?EachRow|JSONLines|NDJSON)/.test(format)) {
    return 'application/x-ndjson; charset=UTF-8';
  }
  if (/^JSON/.test(format)) return 'application/json; charset=UTF-8';
  if (/^CSV/.test(format))
    return `text/csv; charset=UTF-8; header=${format.includes('WithNames') ? 'present' : 'absent'}`;
  if (/^(TabSeparated|TSV)/.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  if (/^(RowBinary|Native|Parquet|Arrow|Avro|ORC|Protobuf|MsgPack|CapnProto|BSON|Npy|RawBLOB)/.test(format))
    return 'application/octet-stream';
  if (format === 'XML') return 'application/xml; charset=UTF-8';
  return 'text/plain; charset=UTF-8';
}

const decoders: Readonly<
  Record<string, (data: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>
> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

/** The whole body, unpacked. Results and inserts are held in memory: this is a server for one machine. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes)
      throw new ClickHouseFault(
        66,
        'QUERY_IS_TOO_LARGE',
        `The body is larger than ${maxBytes} bytes: send it in parts.`,
      );
    chunks.push(chunk as Buffer);
  }
  const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
  const encoding = request.headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity' || body.length === 0) return body;
  const decode = decoders[encoding];
  if (!decode)
    throw new ClickHouseFault(
      48,
      'NOT_IMPLEMENTED',
      `Unknown Content-Encoding '${encoding}': use gzip, deflate, br or zstd.`,
    );
  try {
    return await decode(body, { maxOutputLength: maxBytes });
  } catch (error) {
    throw new ClickHouseFault(
      354,
      'ZLIB_INFLATE_FAILED',
      `The ${encoding} body cannot be unpacked: ${(error as Error).message}.`,
    );
  }
}

export type Credentials = { user: string; password: string };

/** From the headers X-ClickHouse-User/-Key, basic auth, or `?user=&password=`, in this order. */
export function credentialsOf(request: IncomingMessage, query: URLSearchParams): Credentials {
  const header = (name: string) => request.headers[name]?.toString();
  const user = header('x-clickhouse-user');
  if (user !== undefined) return { user, password: header('x-clickhouse-key') ?? '' };
  const basic = /^Basic (.+)$/i.exec(header('authorization') ?? '')?.[1];
  if (basic !== undefined) {
    const text = Buffer.from(basic, 'base64').toString();
    const colon = text.indexOf(':');
    return { user: text.slice(0, Math.max(colon, 0)), password: text.slice(colon + 1) };
  }
  return { user: query.get('user') ?? 'default', password: query.get('password') ?? '' };
}
