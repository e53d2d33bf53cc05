/** Typed arrays as text: base64 of their little-endian bytes, the same on every machine. */

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const isBase64 = (text: string): boolean => BASE64.test(text);

function bytesOf(text: string, size: number): DataView {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % size !== 0)
    throw new RangeError(`${bytes.length} bytes are no list of numbers of ${size} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function textOf(view: DataView): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64');
}

export function packFloats(values: Float32Array): string {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, at) => {
    view.setFloat32(at * 4, value, true);
  });
  return textOf(view);
}

export function packDoubles(values: Float64Array): string {
  const view = new DataView(new ArrayBuffer(values.length * 8));
  values.forEach((value, at) => {
    view.setFloat64(at * 8, value, true);
  });
  return textOf(view);
}

export function packIntegers(values: Int32Array): string {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, at) => {
    view.setInt32(at * 4, value, true);
  });
  return textOf(view);
}

export function packBytes(values: Uint8Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
}

/** @throws RangeError, as the others, where the bytes are no whole number of values. */
export function unpackFloats(text: string): Float32Array {
  const view = bytesOf(text, 4);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, at) => view.getFloat32(at * 4, true));
}

export function unpackDoubles(text: string): Float64Array {
  const view = bytesOf(text, 8);
  return Float64Array.from({ length: view.byteLength / 8 }, (_, at) => view.getFloat64(at * 8, true));
}

export function unpackIntegers(text: string): Int32Array {
  const view = bytesOf(text, 4);
  return Int32Array.from({ length: view.byteLength / 4 }, (_, at) => view.getInt32(at * 4, true));
}

export function unpackBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'));
}
