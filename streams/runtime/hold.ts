/**
 * What a reader of one partition of a model's requests writes to the online store: the least event time that it may still ask
 * for. A hint: lost or rolled back it costs a `behind`, never a value.
 */

const FORMAT = 1;

export function encodeHold(least: number): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, least }));
}

/** Epoch ms; minus infinity where it is not one of ours. */
export function decodeHold(bytes: Uint8Array): number {
  try {
    const { format, least } = JSON.parse(Buffer.from(bytes).toString()) as {
      format: unknown;
      least: unknown;
    };
    return format === FORMAT && typeof least === 'number' ? least : Number.NEGATIVE_INFINITY;
  } catch {
    return Number.NEGATIVE_INFINITY;
  }
}
