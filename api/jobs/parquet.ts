import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  type Compressors,
  type FileMetaData,
  parquetMetadata,
  parquetReadObjects,
  snappyUncompress,
} from 'hyparquet';
import { type BasicType, parquetWriteBuffer } from 'hyparquet-writer';
import { Problem } from '../problem.ts';

/** How a column of a table is written: as it was read, so that a table comes back with its types. */
export type ColumnKind = Extract<
  BasicType,
  'STRING' | 'INT32' | 'INT64' | 'DOUBLE' | 'BOOLEAN' | 'TIMESTAMP'
>;

export interface ParquetTable {
  readonly columns: readonly string[];
  readonly kinds: ReadonlyMap<string, ColumnKind>;
  /** Texts, numbers, truth values and nulls; times are epoch ms. */
  readonly rows: ReadonlyArray<Readonly<Record<string, unknown>>>;
}

/** Rows times columns that are taken: a small file can claim many. */
const MAX_CELLS = 10_000_000;
/** Bytes of one page, unpacked. */
const MAX_PAGE_BYTES = 64 * 1024 * 1024;

const bad = (detail: string) => new Problem(422, 'bad_table', detail);

const within =
  (unpack: (input: Uint8Array, bytes: number) => Uint8Array) => (input: Uint8Array, bytes: number) => {
    if (bytes > MAX_PAGE_BYTES) throw bad(`A page of the table has more than ${MAX_PAGE_BYTES} bytes.`);
    return unpack(input, bytes);
  };

const COMPRESSORS: Compressors = {
  SNAPPY: within((input, bytes) => {
    const output = new Uint8Array(bytes);
    snappyUncompress(input, output);
    return output;
  }),
  GZIP: within((input, maxOutputLength) => gunzipSync(input, { maxOutputLength })),
  BROTLI: within((input, maxOutputLength) => brotliDecompressSync(input, { maxOutputLength })),
  ZSTD: within((input, maxOutputLength) => zstdDecompressSync(input, { maxOutputLength })),
};

/** Throws Problem for what is no Parquet, has lists or structs, or more than `maxRows` rows. */
export async function readParquet(
  bytes: Buffer,
  maxRows: number,
  tooMany: () => Problem,
): Promise<ParquetTable> {
  const file = new Uint8Array(bytes).buffer;
  let metadata: FileMetaData;
  let found: Array<Record<string, unknown>>;
  try {
    metadata = parquetMetadata(file);
    const columns = metadata.schema.length - 1;
    if (metadata.num_rows > maxRows || Number(metadata.num_rows) * columns > MAX_CELLS) throw tooMany();
    found = await parquetReadObjects({ file, metadata, compressors: COMPRESSORS });
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw bad(`The table is no Parquet that can be read: ${(error as Error).message}.`);
  }
  const [, ...elements] = metadata.schema;
  const kinds = new Map<string, ColumnKind>();
  for (const { name, type, converted_type, num_children } of elements) {
    if (num_children !== undefined || kinds.has(name)) throw nested(name);
    const sample = found.find((row) => row[name] !== null && row[name] !== undefined)?.[name];
    kinds.set(name, kindOf(name, sample, type === 'INT32' && converted_type === undefined));
  }
  const columns = [...kinds.keys()];
  const rows = found.map((row) => Object.fromEntries(columns.map((name) => [name, plain(name, row[name])])));
  return { columns, kinds, rows };
}

const nested = (name: string) =>
  bad(`Column '${name}' holds lists, structs or bytes: leave it out, or write it as text.`);

function kindOf(name: string, sample: unknown, isInt32: boolean): ColumnKind {
  if (sample === undefined || typeof sample === 'string') return 'STRING';
  if (typeof sample === 'boolean') return 'BOOLEAN';
  if (typeof sample === 'bigint') return 'INT64';
  if (typeof sample === 'number') return isInt32 ? 'INT32' : 'DOUBLE';
  if (sample instanceof Date) return 'TIMESTAMP';
  throw nested(name);
}

function plain(name: string, value: unknown): unknown {
  // A missing number is NaN where tables come from pandas.
  if (value === undefined || Number.isNaN(value)) return null;
  if (value instanceof Date) return value.getTime();
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw bad(`Column '${name}' holds ${value}, which is beyond 2^53.`);
  return number;
}

export interface OutputColumn {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly values: readonly unknown[];
}

/** A Parquet file, packed by Snappy. */
export function parquetOf(columns: readonly OutputColumn[]): Uint8Array {
  const columnData = columns.map(({ name, kind, values }) => ({
    name,
    type: kind,
    data: values.map((value) => {
      if (value === null || value === undefined) return null;
      if (kind === 'INT64') return BigInt(value as number);
      return kind === 'TIMESTAMP' ? new Date(value as number) : value;
    }),
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}
