/** CRC-32C (Castagnoli), as record batches carry it; four bytes a step (slicing by 4). Node has only CRC-32. */

const tables = Array.from({ length: 4 }, () => new Int32Array(256));
const [t0, t1, t2, t3] = tables as [Int32Array, Int32Array, Int32Array, Int32Array];

for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  t0[i] = crc;
}
for (let i = 0; i < 256; i++) {
  for (let k = 1; k < 4; k++) {
    const before = tables[k - 1]?.[i] ?? 0;
    const table = tables[k];
    if (table !== undefined) table[i] = (before >>> 8) ^ (t0[before & 0xff] ?? 0);
  }
}

export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = -1;
  let i = from;
  for (const whole = to - 3; i < whole; i += 4) {
    const word =
      crc ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    crc =
      (t3[word & 0xff] as number) ^
      (t2[(word >>> 8) & 0xff] as number) ^
      (t1[(word >>> 16) & 0xff] as number) ^
      (t0[word >>> 24] as number);
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}
