import type { Delivery } from '../../models/alerting/deliveries.ts';
import { STRUCTURED_JSON } from '../../schemas/cloud-event.ts';
import type { Connections } from '../../schemas/project.ts';
import { redact } from '../../schemas/redaction.ts';
import { type AddressGuard, createGuard, type GuardOptions, RefusedAddress } from './guard.ts';
import { alertmanagerBody, chatBody, cloudEventBody, type Sending, webhookBody } from './payload.ts';
import { type Answer, post } from './post.ts';
import { DELIVERY_HEADERS, sign } from './signature.ts';

/** How a try ended. `again` may end better later; `rejected` was answered and is not worth many tries; `never` none. */
export type Sent =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'again'; readonly reason: string; readonly afterMs: number | null }
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'never'; readonly reason: string };

export interface Sender {
  /** Tells one receiver once. Failures are answers; throws only where `signal` ended it. */
  send(delivery: Delivery, signal: AbortSignal): Promise<Sent>;
}

export interface SenderOptions {
  readonly from: Sending;
  readonly connections: Pick<Connections, 'receivers' | 'allowPrivate'>;
  /** Wall clock, epoch ms. */
  readonly now: () => number;
  readonly timeoutMs?: number;
  readonly resolve?: GuardOptions['resolve'];
}

const TIMEOUT_MS = 10_000;

export function createSender(options: SenderOptions): Sender {
  const { from, connections, now, timeoutMs = TIMEOUT_MS } = options;
  const guard: AddressGuard = createGuard({
    allowPrivate: connections.allowPrivate,
    ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
  });
  const agent = { 'user-agent': 'millrace' };

  function prepared(
    delivery: Delivery,
  ): { url: string; body: string; headers: Record<string, string> } | null {
    const receiver = connections.receivers[delivery.receiver];
    if (receiver === undefined || receiver.url === '') return null;
    if (receiver.kind === 'alertmanager') {
      const body = alertmanagerBody(from, delivery.changes, now());
      return { url: `${receiver.url.replace(/\/+$/, '')}/api/v2/alerts`, body, headers: agent };
    }
    if (receiver.kind === 'chat')
      return { url: receiver.url, body: chatBody(from, delivery), headers: agent };
    const { cloudEvents = false } = receiver;
    const body = cloudEvents ? cloudEventBody(from, delivery) : webhookBody(from, delivery);
    const timestamp = Math.floor(now() / 1_000);
    return {
      url: receiver.url,
      body,
      headers: {
        ...agent,
        ...(cloudEvents ? { 'content-type': STRUCTURED_JSON } : {}),
        [DELIVERY_HEADERS.delivery]: delivery.id,
        [DELIVERY_HEADERS.timestamp]: String(timestamp),
        ...(receiver.secret === null
          ? {}
          : { [DELIVERY_HEADERS.signature]: sign(receiver.secret, timestamp, body) }),
      },
    };
  }

  return {
    async send(delivery, signal) {
      const what = prepared(delivery);
      if (what === null)
        return { kind: 'never', reason: `There is no receiver '${delivery.receiver}' in connections.yaml.` };
      try {
        return judge(await post({ ...what, guard, timeoutMs, signal }));
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof RefusedAddress) return { kind: 'never', reason: redact(error.message) };
        return { kind: 'again', reason: redact(reasonOf(error, timeoutMs)), afterMs: null };
      }
    },
  };
}

/** Answers that say "later" although they are 4xx: timeout, too early, too many. */
const LATER = [408, 425, 429];

function judge({ status, retryAfterMs, excerpt }: Answer): Sent {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  // It may repeat the address it was asked at, and stands in the table of deliveries.
  const reason = redact(`It answered ${status}${excerpt === '' ? '' : `: ${excerpt}`}`);
  if (status >= 500 || LATER.includes(status)) return { kind: 'again', reason, afterMs: retryAfterMs };
  if (status >= 300 && status < 400)
    return { kind: 'rejected', reason: `It answered ${status}, and redirects are not followed.` };
  return { kind: 'rejected', reason };
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `It did not answer within ${timeoutMs / 1_000} s.`;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return error.message === '' ? code : error.message;
}
