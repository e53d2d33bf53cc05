import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSender } from '../../../infrastructure/alerting/sender.ts';
import { deliveriesOf } from '../../../models/alerting/deliveries.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import { alert } from './alert.ts';
import { Receiver } from './receiver.ts';

const never = new AbortController().signal;

let receiver: Receiver;
beforeEach(async () => {
  receiver = await new Receiver().start();
});
afterEach(() => receiver.stop());

/** As Slack's incoming webhooks do: no text, no message. */
function answers(body: string): { status: number; body: string } {
  const { text } = JSON.parse(body) as { text?: unknown };
  return typeof text === 'string' && text !== ''
    ? { status: 200, body: 'ok' }
    : { status: 400, body: 'no_text' };
}

async function told(changes: readonly Alert[]): Promise<string> {
  const [delivery] = deliveriesOf(
    { routes: [{ severities: ['page'], rules: [], receivers: ['team'] }], groupBy: [] },
    'p',
    changes,
  );
  if (delivery === undefined) throw new Error('a delivery');
  const sender = createSender({
    from: { project: 'flights', prefix: 'p' },
    connections: {
      receivers: { team: { kind: 'chat', url: `${receiver.url}/services/T0/B0/x` } },
      allowPrivate: [`127.0.0.1:${receiver.port}`],
    },
    now: () => 0,
  });
  expect(await sender.send(delivery, never)).toEqual({ kind: 'delivered' });
  const body = receiver.requests.at(-1)?.body ?? '';
  expect(answers(body)).toEqual({ status: 200, body: 'ok' });
  expect(Object.keys(JSON.parse(body) as object)).toEqual(['text']);
  return (JSON.parse(body) as { text: string }).text;
}

it('a chat gets one text, with a line for each alert', async () => {
  const text = await told([
    alert(1),
    { ...alert(2), state: 'resolved', firedAt: 0, summary: 'Over: it loses 0.4 nats', slice: 'card=c1' },
  ]);
  expect(text.split('\n')).toEqual([
    'flights (p): 1 firing, 1 over',
    expect.stringMatching(/^\[page\] worse: .* at 2001-04-01T00:00:00\.000Z$/),
    expect.stringMatching(/^\[over\] worse: Over: it loses 0\.4 nats \(.*card=c1\) at 2001-/),
  ]);
});

it('a hundred alerts are a message that every chat takes, and says how many it does not name', async () => {
  const many = Array.from({ length: 100 }, (_, i) => ({ ...alert(i), summary: 'x'.repeat(1_000) }));
  const text = await told(many);
  expect(text.length).toBeLessThan(4_096);
  expect(text).toMatch(/85 more: millrace alerts ls$/);
});

it.each(['<!channel> hello', '<https://evil|click>', '@here', '@channel', 'two\nlines'])(
  'a value that reads %s calls nobody and makes no link',
  async (slice) => {
    const text = await told([{ ...alert(1), slice: `name=${slice}` }]);
    expect(text).not.toMatch(/[<>]|@\w/);
    expect(text.split('\n')).toHaveLength(2);
  },
);
