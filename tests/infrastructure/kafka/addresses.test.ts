import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { cuttable, hostOf } from '../../../infrastructure/kafka/addresses.ts';
import { createKafka } from '../../../infrastructure/kafka/driver.ts';

describe('addresses of brokers', () => {
  it.each([
    ['[::1]:29092', '::1', 29_092],
    ['[2001:db8::7]:9092', '2001:db8::7', 9_092],
    ['[fe80::1%eth0]:9092', 'fe80::1%eth0', 9_092],
    ['10.0.0.1:9092', '10.0.0.1', 9_092],
    ['kafka-0.kafka:9092', 'kafka-0.kafka', 9_092],
  ])('%s is %s and %i after kafkajs has cut it', (address, host, port) => {
    const [first = '', second] = cuttable(address).split(':');
    expect(hostOf(first)).toBe(host);
    expect(Number(second)).toBe(port);
  });

  it('an IPv6 broker is connected to', async () => {
    const met = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      met.resolve();
      socket.destroy();
    });
    const listening = await new Promise<boolean>((done) => {
      server.once('error', () => done(false));
      server.listen(0, '::1', () => done(true));
    });
    // A machine without IPv6 has nothing to connect to.
    if (!listening) return;
    const { port } = server.address() as AddressInfo;
    const kafka = createKafka(
      { kafka: { brokers: [`[::1]:${port}`], tls: false, sasl: null } },
      { clientId: 'test' },
    );
    await expect(kafka.admin()).rejects.toMatchObject({ code: 'unreachable' });
    await met.promise;
    await kafka.close();
    server.close();
  });
});
