import { createHmac, timingSafeEqual } from 'node:crypto';

/** Headers of every delivery to a webhook. */
export const DELIVERY_HEADERS = {
  /** Id of the delivery, the same for every try: whoever has seen it answers 200 and does nothing. */
  delivery: 'millrace-delivery',
  /** When this try was sent, epoch seconds. */
  timestamp: 'millrace-timestamp',
  /** `v1=` and the HMAC-SHA256 of `<timestamp>.<body>` in hex; only where the receiver has a secret. */
  signature: 'millrace-signature',
} as const;

const VERSION = 'v1';
const TOLERANCE_SECONDS = 300;

/** `timestamp`: epoch seconds. */
export function sign(secret: string, timestamp: number, body: string | Uint8Array): string {
  const mac = createHmac('sha256', secret).update(`${timestamp}.`).update(body);
  return `${VERSION}=${mac.digest('hex')}`;
}

export interface Received {
  readonly secret: string;
  /** As it came, byte by byte: not JSON that was parsed and written again. */
  readonly body: string | Uint8Array;
  /** Values of the headers; undefined where there is none. */
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  /** Wall clock, epoch ms. Default: now. */
  readonly now?: number;
  /** How old or how far ahead a delivery may be, seconds. Default 300. */
  readonly toleranceSeconds?: number;
}

/** For receivers: whether a delivery comes from who knows the secret, and is no old one sent again. Takes the same time for every wrong signature. */
export function verifyDelivery(received: Received): boolean {
  const { secret, body, timestamp = '', signature = '', now = Date.now() } = received;
  if (secret === '' || !/^\d{1,12}$/.test(timestamp)) return false;
  const expected = Buffer.from(sign(secret, Number(timestamp), body));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
  return Math.abs(now / 1_000 - Number(timestamp)) <= (received.toleranceSeconds ?? TOLERANCE_SECONDS);
}
