const SLOTS = 16_384;
const POLYNOMIAL = 0x1021;

/** The part of a key that names its slot: what stands in its first braces, else all of it. */
function tagOf(key: string): string {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  return close <= open + 1 ? key : key.slice(open + 1, close);
}

/** Slot of a key in a Redis Cluster, 0 to 16383: CRC16 (XMODEM) of its tag. */
export function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tagOf(key))) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  }
  return (crc & 0xffff) % SLOTS;
}

/** Whether all keys that begin with `prefix` lie in one slot: it holds a whole tag. */
export const isOneSlot = (prefix: string) => /^[^{]*\{[^}]+\}/.test(prefix);
