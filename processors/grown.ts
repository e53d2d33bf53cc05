/** A longer array of the same kind that begins with the same numbers. */
export function grown<A extends Float64Array | Int32Array | Uint8Array>(array: A, length: number): A {
  const larger = new (array.constructor as new (length: number) => A)(length);
  larger.set(array);
  return larger;
}
