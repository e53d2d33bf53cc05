/** Kafka's own partitioner, so that a reader finds the partition of an entity without a look-up. */

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const encoder = new TextEncoder();
let scratch = new Uint8Array(256);

/** Murmur2, 32 bit, little endian, with Kafka's seed. Source: org.apache.kafka.common.utils.Utils.murmur2. */
export function murmur2(bytes: Uint8Array, length: number = bytes.length): number {
  let h = SEED ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    k = Math.imul(k, M);
    h = Math.imul(h, M) ^ k;
  }
  const rest = length - whole;
  if (rest === 3) h ^= (bytes[whole + 2] as number) << 16;
  if (rest >= 2) h ^= (bytes[whole + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (bytes[whole] as number), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

/** The partition that Kafka's default partitioner gives a record with this key (text as UTF-8). */
export function partitionOf(key: string | Uint8Array, partitions: number): number {
  if (typeof key !== 'string') return (murmur2(key) & 0x7fffffff) % partitions;
  // A UTF-16 unit takes at most three bytes of UTF-8.
  if (scratch.length < key.length * 3) scratch = new Uint8Array(key.length * 6);
  let length = 0;
  for (; length < key.length; length += 1) {
    const unit = key.charCodeAt(length);
    if (unit > 127) {
      length = encoder.encodeInto(key, scratch).written;
      return (murmur2(scratch, length) & 0x7fffffff) % partitions;
    }
    scratch[length] = unit;
  }
  return (murmur2(scratch, length) & 0x7fffffff) % partitions;
}
