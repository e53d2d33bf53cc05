import type { DataSet } from '../training/dataset.ts';

/** What a `dataset` step makes: rows to learn from, and later ones that nothing learns from. */
export interface DataSetPair {
  readonly training: DataSet;
  readonly test: DataSet;
}

const MAGIC = 'MRDS0001';
const HEAD = 16;

type Header = Pick<DataSet, 'ids' | 'logged' | 'backfilled' | 'untold' | 'query' | 'from' | 'to' | 'hash'>;

const headerOf = ({ ids, logged, backfilled, untold, query, from, to, hash }: DataSet): Header => ({
  ids,
  logged,
  backfilled,
  untold,
  query,
  from,
  to,
  hash,
});

const arraysOf = ({ times, rows, labels, cells }: DataSet) => [times, rows, labels, cells] as const;

/**
 * Two data sets as one file, little-endian: the magic, the length of the header (u32) and padding to 16 bytes; the
 * header, JSON; then of each set times (f64), rows (f64), labels (u8) and cells (i16), each from a multiple of 8 bytes.
 */
export function encodeDataSets({ training, test }: DataSetPair): Uint8Array {
  const sizes = [training, test].map((set) => ({ ...headerOf(set), width: widthOf(set) }));
  const header = Buffer.from(JSON.stringify(sizes));
  const arrays = [training, test].flatMap(arraysOf);
  const length = arrays.reduce((at, array) => aligned(at) + array.byteLength, HEAD + header.length);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(MAGIC));
  view.setUint32(8, header.length, true);
  bytes.set(header, HEAD);
  let at = HEAD + header.length;
  for (const array of arrays) {
    at = aligned(at);
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += array.byteLength;
  }
  return bytes;
}

/** @throws RangeError where the bytes are not such a file. */
export function decodeDataSets(given: Uint8Array): DataSetPair {
  // Typed arrays want their own alignment: a copy has it wherever the bytes lay.
  const bytes = given.slice();
  const view = new DataView(bytes.buffer);
  if (bytes.length < HEAD || Buffer.from(bytes.subarray(0, MAGIC.length)).toString() !== MAGIC)
    throw new RangeError('These bytes are no data set.');
  const headerLength = view.getUint32(8, true);
  const text = Buffer.from(bytes.subarray(HEAD, HEAD + headerLength)).toString();
  const [training, test] = JSON.parse(text) as [Header & { width: number }, Header & { width: number }];
  let at = HEAD + headerLength;
  const readArray = <A>(
    make: (buffer: ArrayBuffer, from: number, length: number) => A,
    size: number,
    n: number,
  ): A => {
    at = aligned(at);
    const array = make(bytes.buffer, at, n);
    at += n * size;
    return array;
  };
  const float = (buffer: ArrayBuffer, from: number, n: number) => new Float64Array(buffer, from, n);
  const set = ({ width, ...header }: Header & { width: number }): DataSet => {
    const n = header.ids.length;
    return {
      ...header,
      times: readArray(float, 8, n),
      rows: readArray(float, 8, n * width),
      labels: readArray((buffer, from, size) => new Uint8Array(buffer, from, size), 1, n),
      cells: readArray((buffer, from, size) => new Int16Array(buffer, from, size), 2, n),
    };
  };
  return { training: set(training), test: set(test) };
}

const aligned = (at: number) => Math.ceil(at / 8) * 8;
const widthOf = ({ rows, ids }: DataSet) => (ids.length === 0 ? 0 : rows.length / ids.length);
