/** The two halves of the last hash: 32 bits each, unsigned. */
export const HASH = new Uint32Array(2);

/**
 * Writes 64 bits of `text` to HASH, from its UTF-16 units, two at a time. The mixing is that of MurmurHash3_x86_128 (Austin Appleby,
 * public domain) with two of its four lanes. It resists chance, not a person who looks for collisions.
 */
export function hashText(text: string): void {
  const { length } = text;
  let h1 = 0x9368e53c;
  let h2 = 0x586dcd20;
  for (let i = 0; i < length; i += 2) {
    const k = text.charCodeAt(i) | (i + 1 < length ? text.charCodeAt(i + 1) << 16 : 0);
    const k1 = Math.imul(k, 0x239b961b);
    h1 ^= Math.imul((k1 << 15) | (k1 >>> 17), 0xab0e9789);
    h1 = ((h1 << 19) | (h1 >>> 13)) + h2;
    h1 = (Math.imul(h1, 5) + 0x561ccd1b) | 0;
    const k2 = Math.imul(k, 0xab0e9789);
    h2 ^= Math.imul((k2 << 16) | (k2 >>> 16), 0x38b34ae5);
    h2 = ((h2 << 17) | (h2 >>> 15)) + h1;
    h2 = (Math.imul(h2, 5) + 0x0bcaa747) | 0;
  }
  h1 ^= length;
  h2 ^= length;
  h1 = (h1 + h2) | 0;
  h2 = (h2 + h1) | 0;
  h1 = mix(h1);
  h2 = mix(h2);
  h1 = (h1 + h2) | 0;
  HASH[0] = h1;
  HASH[1] = h2 + h1;
}

function mix(from: number): number {
  let h = from ^ (from >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
