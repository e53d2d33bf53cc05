import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGuard } from '../../../infrastructure/alerting/guard.ts';
import { post } from '../../../infrastructure/alerting/post.ts';
import { createSender, type SenderOptions } from '../../../infrastructure/alerting/sender.ts';
import { sign, verifyDelivery } from '../../../infrastructure/alerting/signature.ts';
import { deliveriesOf } from '../../../models/alerting/deliveries.ts';
import { DAY } from '../../../schemas/time.ts';
import { structuredFaults } from '../../schemas/cloud-event-rules.ts';
import { alert } from './alert.ts';
import { Receiver } from './receiver.ts';

const NOW = Date.UTC(2026, 10, 23);
const never = new AbortController().signal;
const [delivery] = deliveriesOf(
  { routes: [{ severities: ['page'], rules: [], receivers: ['ops'] }], groupBy: ['rule', 'model'] },
  'p',
  [alert(1), alert(2)],
);
if (delivery === undefined) throw new Error('a delivery');

let receiver: Receiver;
beforeEach(async () => {
  receiver = await new Receiver().start();
});
afterEach(() => receiver.stop());

function sender(options: Partial<SenderOptions> = {}, url = receiver.url) {
  return createSender({
    from: { project: 'flights', prefix: 'p' },
    connections: {
      receivers: { ops: { kind: 'webhook', url, secret: 'hush' } },
      allowPrivate: [`127.0.0.1:${receiver.port}`],
    },
    now: () => NOW,
    ...options,
  });
}

describe('a webhook that asks for CloudEvents', () => {
  it('gets the same as one event in structured JSON, the same at each try, and signed', async () => {
    const receivers = {
      ops: { kind: 'webhook', url: receiver.url, secret: 'hush', cloudEvents: true },
    } as const;
    const connections = { receivers, allowPrivate: [`127.0.0.1:${receiver.port}`] };
    for (let tries = 0; tries < 2; tries += 1)
      expect(await sender({ connections }).send(delivery, never)).toEqual({ kind: 'delivered' });
    expect(await sender().send(delivery, never)).toEqual({ kind: 'delivered' });
    const [first, again, plain] = receiver.requests;
    const { headers, body } = first ?? expect.fail('nothing came');
    expect(structuredFaults(String(headers['content-type']), body)).toEqual([]);
    const { data, ...attributes } = JSON.parse(body);
    expect(attributes).toEqual({
      specversion: '1.0',
      id: delivery.id,
      source: '/millrace/p/alerts',
      type: 'millrace.alerts.changed',
      time: '2026-11-22T00:00:00.000Z',
      datacontenttype: 'application/json',
    });
    expect(again?.body).toBe(body);
    expect(data).toEqual(JSON.parse(plain?.body ?? ''));
    const timestamp = String(headers['millrace-timestamp']);
    const signature = String(headers['millrace-signature']);
    expect(verifyDelivery({ secret: 'hush', body, timestamp, signature, now: NOW })).toBe(true);
  });
});

describe('a webhook', () => {
  it('gets one body under a stable id, signed', async () => {
    expect(await sender().send(delivery, never)).toEqual({ kind: 'delivered' });
    const [request] = receiver.requests;
    if (request === undefined) throw new Error('nothing came');
    const { headers, body } = request;
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'millrace',
      'millrace-delivery': delivery.id,
      'millrace-timestamp': String(NOW / 1_000),
    });
    const received = {
      secret: 'hush',
      body,
      timestamp: String(headers['millrace-timestamp']),
      signature: String(headers['millrace-signature']),
      now: NOW,
    };
    expect(verifyDelivery(received)).toBe(true);
    expect(JSON.parse(body)).toMatchObject({
      format: 1,
      delivery: delivery.id,
      project: 'flights',
      prefix: 'p',
      receiver: 'ops',
      group: { rule: 'worse', model: 'late' },
      alerts: [
        { id: 'f1:1', state: 'firing', tick: '2001-04-01T00:00:00.000Z', endedAt: null },
        { id: 'f2:1' },
      ],
    });
  });

  it('without a secret is not signed', async () => {
    const open = sender({
      connections: {
        receivers: { ops: { kind: 'webhook', url: receiver.url, secret: null } },
        allowPrivate: [`127.0.0.1:${receiver.port}`],
      },
    });
    await open.send(delivery, never);
    expect(receiver.requests[0]?.headers['millrace-signature']).toBeUndefined();
  });

  it('that fails for now is tried again, that says no is not worth many tries', async () => {
    receiver.answers.push(
      { status: 503, body: 'busy\n  now' },
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 404, body: 'x'.repeat(1_000_000) },
      { status: 302, headers: { location: 'http://169.254.169.254/' } },
    );
    const one = sender();
    expect(await one.send(delivery, never)).toEqual({
      kind: 'again',
      reason: 'It answered 503: busy now',
      afterMs: null,
    });
    expect(await one.send(delivery, never)).toEqual({
      kind: 'again',
      reason: 'It answered 429',
      afterMs: 7_000,
    });
    expect(await one.send(delivery, never)).toMatchObject({
      kind: 'rejected',
      reason: expect.stringMatching(/^It answered 404: x{10,300}$/),
    });
    expect(await one.send(delivery, never)).toEqual({
      kind: 'rejected',
      reason: 'It answered 302, and redirects are not followed.',
    });
    expect(receiver.requests).toHaveLength(4);
  });

  it('that is silent or away is tried again', async () => {
    receiver.answers.push({ status: 200, afterMs: 2_000 });
    expect(await sender({ timeoutMs: 100 }).send(delivery, never)).toEqual({
      kind: 'again',
      reason: 'It did not answer within 0.1 s.',
      afterMs: null,
    });
    const gone = sender();
    await receiver.stop();
    expect(await gone.send(delivery, never)).toMatchObject({
      kind: 'again',
      reason: expect.stringContaining('ECONNREFUSED'),
    });
    receiver = await new Receiver().start();
  });

  it('at a private address that nobody allowed is never asked', async () => {
    const sent = await sender({}, `http://2130706433:${receiver.port + 1}/`).send(delivery, never);
    expect(sent).toMatchObject({
      kind: 'never',
      reason: expect.stringContaining('is refused: it is loopback'),
    });
    expect(await sender().send({ ...delivery, receiver: 'nobody' }, never)).toMatchObject({ kind: 'never' });
    expect(receiver.requests).toHaveLength(0);
  });

  it('an abort ends it', async () => {
    receiver.answers.push({ status: 200, afterMs: 5_000 });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await expect(sender().send(delivery, stop.signal)).rejects.toThrow('aborted');
  });
});

describe('a name that answers otherwise the second time', () => {
  it('is connected to where it was looked at', async () => {
    const answers = ['127.0.0.1', '169.254.169.254'];
    let asked = 0;
    const guard = createGuard({
      allowPrivate: [`rebind.example.com:${receiver.port}`],
      resolve: async () => [{ address: answers[asked++] ?? '', family: 4 }],
    });
    const url = `http://rebind.example.com:${receiver.port}/`;
    const sent = await post({ guard, url, body: '{}', headers: {}, timeoutMs: 30 * DAY, signal: never });
    expect(sent.status).toBe(200);
    expect(asked).toBe(1);
    expect(receiver.requests[0]?.headers.host).toBe(`rebind.example.com:${receiver.port}`);
  });
});

describe('a signature', () => {
  const signed = {
    secret: 's',
    body: '{"a":1}',
    timestamp: '1000',
    signature: sign('s', 1000, '{"a":1}'),
    now: 1_000_000,
  };

  it('is the HMAC-SHA256 of timestamp and body', () => {
    // printf '1000.{"a":1}' | openssl dgst -sha256 -hmac s
    expect(signed.signature).toBe('v1=82da4665c1501a07c877dfc980f87e6d011aba756026761deaf601cb952e704e');
    expect(verifyDelivery(signed)).toBe(true);
    expect(verifyDelivery({ ...signed, body: Buffer.from(signed.body) })).toBe(true);
  });

  it.each([
    ['another body', { body: '{"a":2}' }],
    ['another secret', { secret: 't' }],
    ['no secret', { secret: '' }],
    ['another time', { timestamp: '1001' }],
    ['no time', { timestamp: undefined }],
    ['no signature', { signature: undefined }],
    ['a shorter one', { signature: 'v1=ab' }],
    ['one too old', { now: 1_301_000 }],
    ['one from the future', { now: 699_000 }],
  ])('is refused for %s', (_, change) => {
    expect(verifyDelivery({ ...signed, ...change })).toBe(false);
  });
});
