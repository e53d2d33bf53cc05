import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMemoryBroker, type MemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { wallClock } from '../../../platform/platform.ts';
import { topics } from '../../../schemas/names.ts';
import { payment, type Running, runPayments } from './payments.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/** Nearly all of what a batch may have by default. */
const NEARLY = 1_048_400;

describe('records that are too large', () => {
  let broker: MemoryBroker;
  let ingest: Running;

  beforeEach(async () => {
    broker = createMemoryBroker(wallClock);
    ingest = await runPayments(broker.kafka());
  });
  afterEach(() => ingest.stop());

  /** Appends a record whatever its size, as a compressed batch brings it. */
  const append = (value: string | Uint8Array, key = 'c1') =>
    broker.appendRaw({ topic: ingest.raw, partition: 0, key: Buffer.from(key), value: Buffer.from(value) });

  it.each([
    ['five megabytes, packed', 5_000_000],
    ['nearly the limit of the topic', NEARLY],
  ])('a value of %s is stored cut, with its size and hash, and the next record arrives', async (_, bytes) => {
    const value = 'x'.repeat(bytes);
    append(value);
    append(payment('next'));
    const { accepted, refused } = await ingest.worked(2);
    expect(accepted.map(({ event }) => event.id)).toEqual(['next']);
    const [letter] = refused;
    expect(letter).toMatchObject({
      code: 'bad_json',
      sourceOffset: 0,
      valueBytes: bytes,
      valueSha256: sha256(value),
      keyBytes: null,
    });
    expect(Buffer.from(letter?.value ?? []).toString()).toBe(value.slice(0, letter?.value?.length));
    expect(letter?.value?.length).toBeGreaterThan(10_000);
  });

  it('what just fits is stored whole', async () => {
    append('x'.repeat(900_000));
    const [letter] = (await ingest.worked(1)).refused;
    expect([letter?.value?.length, letter?.valueBytes, letter?.valueSha256]).toEqual([900_000, null, null]);
  });

  it('a key is cut as a value is', async () => {
    const key = 'k'.repeat(700_000);
    append('no json', key);
    append(payment('next'));
    const [letter] = (await ingest.worked(2)).refused;
    expect(letter).toMatchObject({ keyBytes: 700_000, keySha256: sha256(key), valueBytes: null });
    expect(Buffer.from(letter?.value ?? []).toString()).toBe('no json');
  });

  it('headers are kept whole with a record, and cut with one that is cut', async () => {
    const given = { trace: Buffer.from('t1'), '__proto__ ': Buffer.from([0, 255]) };
    const large = { ...given, large: Buffer.alloc(5_000, 1) };
    const value = Buffer.from('no json');
    const place = { topic: ingest.raw, partition: 0, key: null };
    broker.appendRaw({ ...place, value, headers: given });
    broker.appendRaw({ ...place, value: Buffer.from('x'.repeat(5_000_000)), headers: large });
    const { refused } = await ingest.worked(2);
    const kept = [
      { name: 'trace', value: Buffer.from('t1') },
      { name: '__proto__ ', value: Buffer.from([0, 255]) },
    ];
    expect(refused[0]).toMatchObject({ headers: kept, headersBytes: null });
    expect(refused[1]).toMatchObject({ headers: kept, headersBytes: 5_024 });
  });

  it('a text of the event in the sentence or as its id makes no letter too large', async () => {
    append(payment('a', { card: null, note: 'n'.repeat(1_000_000) }));
    append(payment('i'.repeat(1_000_000)));
    append(payment('next'));
    const { accepted, refused } = await ingest.worked(3);
    expect(accepted).toHaveLength(1);
    expect(refused.map(({ code }) => code)).toEqual(['missing_field', 'too_large']);
    expect(refused[1]?.detail).toContain('id has 1000000 bytes');
  });

  it('an event whose validated record or contribution would be too large is a dead letter of its own', async () => {
    // 3 bytes a letter; the card stands in the event and as the key of its record.
    append(payment('wide', { card: '€'.repeat(200_000) }));
    append(payment('long', { note: 'n'.repeat(1_048_000) }));
    append(payment('fits', { note: 'n'.repeat(1_000_000) }));
    const { accepted, refused } = await ingest.worked(3);
    expect(refused.map(({ code, sourceOffset }) => [code, sourceOffset])).toEqual([
      ['too_large', 0],
      ['too_large', 1],
    ]);
    expect(accepted.map(({ event }) => event.id)).toEqual(['fits']);
  });

  it('contributions of long keys are spread over records that their topics take', async () => {
    for (let i = 0; i < 12; i += 1) append(payment(`e${i}`, { card: `${i}${'c'.repeat(300_000)}` }));
    const { accepted, refused } = await ingest.worked(12);
    expect([accepted.length, refused.length]).toEqual([12, 0]);
  });

  it('heeds a limit that was lowered, and learns one that the broker hides', async () => {
    await ingest.stop();
    const { prefix } = ingest.project;
    broker.limitRecords(topics.deadLetters(prefix, 'payments'), 50_000);
    append('x'.repeat(60_000));
    ingest = await runPayments(broker.kafka(), ingest);
    const [letter] = (await ingest.worked(1)).refused;
    expect(letter?.valueBytes).toBe(60_000);
    // While it runs: the first send fails, the second heeds what was learnt.
    broker.limitRecords(topics.deadLetters(prefix, 'payments'), 20_000);
    append('y'.repeat(30_000));
    append(payment('next'));
    const { accepted, refused } = await ingest.worked(3);
    expect([accepted.length, refused.map(({ valueBytes }) => valueBytes)]).toEqual([1, [60_000, 30_000]]);
    expect(ingest.telemetry.failures.map(({ message }) => message)).toEqual([
      expect.stringContaining('does not take a record of'),
    ]);
  });

  it('a batch that cannot be read is a dead letter, and the next record arrives', async () => {
    const unreadable = { detail: 'it cannot be unpacked', bytes: 77_000, sha256: 'abc' };
    broker.appendRaw({ topic: ingest.raw, partition: 0, key: null, value: null, unreadable });
    append(payment('next'));
    const { accepted, refused } = await ingest.worked(2);
    expect(accepted).toHaveLength(1);
    expect(refused[0]).toMatchObject({
      code: 'unreadable_batch',
      valueBytes: 77_000,
      valueSha256: 'abc',
      value: null,
    });
  });
});
