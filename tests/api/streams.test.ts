import { EventEmitter } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSink } from '../../api/events.ts';
import { topics } from '../../schemas/names.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { type ApiWorld, createApiWorld } from './world.ts';

interface Got {
  readonly id: string | null;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** A reader of an event stream. */
class Reader {
  readonly got: Got[] = [];
  readonly #request: ReturnType<typeof httpRequest>;
  status = 0;
  ended = false;

  constructor(url: string, lastId?: string) {
    this.#request = httpRequest(url, {
      headers: lastId === undefined ? {} : { 'last-event-id': lastId },
      agent: false,
    });
    let text = '';
    this.#request.on('response', (response) => {
      this.status = response.statusCode ?? 0;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          this.#take(text.slice(0, end));
          text = text.slice(end + 2);
        }
      });
      response.on('close', () => {
        this.ended = true;
      });
    });
    this.#request.on('error', () => {
      this.ended = true;
    });
    this.#request.end();
  }

  #take(block: string): void {
    const lines = new Map(block.split('\n').map((line) => line.split(': ', 2) as [string, string]));
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (data === undefined) return;
    this.got.push({ id: lines.get('id') ?? null, event: lines.get('event') ?? '', data: JSON.parse(data) });
  }

  get of(): Got[] {
    return this.got.filter(({ event }) => event === 'prediction' || event === 'alert');
  }

  close(): void {
    this.#request.destroy();
  }
}

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (holds()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error(`${what} did not come`);
};

describe('event streams', () => {
  let world: ApiWorld;
  let url: string;
  let sent = 0;
  const readers: Reader[] = [];

  beforeAll(async () => {
    world = await createApiWorld({ server: { limits: { streams: 6, streamBytes: 64 * 1024 } } });
    await world.app.listen({ host: '127.0.0.1', port: 0 });
    url = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    for (const one of readers) one.close();
    await world.close();
  });

  const open = (path: string, lastId?: string): Reader => {
    const one = new Reader(`${url}${path}`, lastId);
    readers.push(one);
    return one;
  };

  const predictionOf = (offset: number, more: Partial<Prediction> = {}): Prediction => ({
    format: 1,
    id: `r${offset}:cost`,
    requestId: `r${offset}`,
    requestTime: offset,
    status: 'scored',
    reason: null,
    model: 'cost',
    modelVersion: 1,
    artefact: '',
    score: 0.5,
    decision: true,
    layout: '',
    vector: [],
    reads: [],
    absent: [],
    sourceTopic: '',
    sourcePartition: 0,
    sourceOffset: offset,
    rawAppendTime: 0,
    waitMs: 0,
    readMs: 0,
    scoreMs: 0,
    ...more,
  });

  async function publish(topic: string, ...predictions: Prediction[]): Promise<void> {
    const producer = await world.deps.kafka.producer();
    await producer.send(
      predictions.map((one) => ({
        topic,
        partition: 0,
        key: Buffer.from(one.requestId),
        value: world.deps.codecs.predictions.encode(one),
      })),
    );
    await producer.close();
  }
  const predict = (count: number) =>
    publish(
      topics.predictions('trips', 'cost'),
      ...Array.from({ length: count }, () => predictionOf(sent++)),
    );
  const asked = (id: string) =>
    publish(topics.asked('trips', 'cost'), predictionOf(-1, { requestId: id, id: `${id}:cost` }));
  const ids = (one: Reader) => one.of.map(({ data }) => data.requestId);
  const path = '/v1/streams/predictions/cost';

  it('give what comes from now on, asked answers among it, and no repeats', async () => {
    await predict(3);
    const reader = open(path);
    await until('the beginning', () => reader.got.some(({ event }) => event === 'begin'));
    await predict(2);
    await publish(topics.predictions('trips', 'cost'), predictionOf(4));
    await asked('by-http');
    await predict(1);
    await until('four', () => ids(reader).length >= 4);
    expect([...ids(reader)].sort()).toEqual(['by-http', 'r3', 'r4', 'r5']);
    expect(reader.of.find(({ data }) => data.requestId === 'by-http')?.data.asked).toBe(true);
    reader.close();
  });

  it('go on behind the last event that a reader had, without loss or repeat, while more comes', async () => {
    const reader = open(path);
    await until('the beginning', () => reader.got.length > 0);
    await predict(5);
    await until('five', () => ids(reader).length === 5);
    reader.close();
    const last = reader.of[2]?.id ?? '';
    const missed = ids(reader).slice(3);
    await predict(50);
    await asked('between');
    const again = open(path, last);
    const more = predict(20);
    await until('the rest', () => ids(again).length >= 2 + 50 + 1 + 20);
    await more;
    await new Promise((done) => setTimeout(done, 300));
    expect(new Set(ids(again)).size).toBe(ids(again).length);
    expect(ids(again).slice(0, 2)).toEqual(missed);
    expect(ids(again)).toHaveLength(2 + 50 + 1 + 20);
    again.close();
  });

  it.each(['', 'abc', '1', '1.2.3.4.5', '-1.0', '99999999999999999.0'])(
    'begin anew where the id is none of theirs: %j',
    async (id) => {
      const reader = open(path, id);
      await until('the beginning', () => reader.got.length > 0);
      expect(reader.got[0]?.event).toBe('begin');
      reader.close();
    },
  );

  it('go on from where the log begins, where it was cut', async () => {
    world.broker.truncate(topics.predictions('trips', 'cost'), 0, sent - 2);
    const reader = open(path, '0.0');
    await until('what is left', () => ids(reader).length >= 2);
    expect(ids(reader)).toEqual(expect.arrayContaining([`r${sent - 2}`, `r${sent - 1}`]));
    reader.close();
  });

  it('tell of alerts, each change once', async () => {
    const alert = (id: string): Alert => ({
      format: 1,
      id,
      fingerprint: 'f',
      change: 1,
      rule: 'drifted',
      severity: 'page',
      state: 'firing',
      kind: 'drift',
      statistic: 'psi',
      model: 'cost',
      version: 1,
      subject: 'x',
      slice: '',
      value: 1,
      threshold: 0.5,
      summary: 'x drifted',
      tick: 1,
      startedAt: 1,
      firedAt: 1,
      endedAt: null,
      at: 1,
    });
    const reader = open('/v1/streams/alerts');
    await until('the beginning', () => reader.got.length > 0);
    const producer = await world.deps.kafka.producer();
    for (const id of ['a', 'a', 'b'])
      await producer.send([
        {
          topic: topics.alerts('trips'),
          partition: 0,
          key: null,
          value: world.deps.codecs.alerts.encode(alert(id)),
        },
      ]);
    await producer.close();
    await until('two', () => reader.of.length === 2);
    expect(reader.of.map(({ data }) => data.id)).toEqual(['a', 'b']);
    const list = await (await fetch(`${url}/v1/alerts?state=firing`)).json();
    expect(list).toMatchObject({ alerts: [{ id: 'b', fingerprint: 'f', rule: 'drifted' }] });
    reader.close();
  });

  it('tell of the topology at once, and again', async () => {
    const reader = open('/v1/streams/topology');
    await until('two looks', () => reader.got.length >= 2);
    const [first, second] = reader.got.map(
      ({ data }) => data as { topics: Array<{ topic: string; perSecond: number | null }> },
    );
    expect(first?.topics.map(({ topic }) => topic)).toContain(topics.raw('trips', 'trips'));
    expect(second?.topics.every(({ perSecond }) => perSecond !== null)).toBe(true);
    reader.close();
  });

  it('tell of pipelines', async () => {
    const reader = open('/v1/streams/pipelines');
    await until('an answer', () => reader.status === 200);
    reader.close();
  });

  it('are refused past their number, and free again afterwards', async () => {
    await until('room', () => world.app.server.connections === 0 || true);
    const many = Array.from({ length: 10 }, () => open(path));
    await until('all answers', () => many.every(({ status }) => status !== 0));
    expect(many.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(6);
    expect(many.some(({ status }) => status === 503)).toBe(true);
    for (const one of many) one.close();
    await until('room again', () => {
      const one = open(path);
      readers.push(one);
      setTimeout(() => one.close(), 200);
      return one.status === 200 || readers.at(-3)?.status === 200;
    });
  });

  it('give all to a reader that keeps up, whatever stands still beside it', async () => {
    const fast = open(path);
    await until('the beginning', () => fast.got.length > 0);
    const slow: Socket = connect(Number(new URL(url).port), '127.0.0.1');
    slow.on('error', () => {});
    slow.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    slow.pause();
    const before = ids(fast).length;
    const long = 'x'.repeat(20_000);
    for (let i = 0; i < 10; i += 1)
      await publish(
        topics.predictions('trips', 'cost'),
        ...Array.from({ length: 20 }, () => predictionOf(sent, { requestId: `${sent++}${long}` })),
      );
    await until('all at the fast one', () => ids(fast).length === before + 200);
    slow.destroy();
    fast.close();
  });
});

describe('a thousand readers', () => {
  const MOST = 1_000;
  let world: ApiWorld;
  beforeAll(async () => {
    world = await createApiWorld();
    await world.app.listen({ host: '127.0.0.1', port: 0 });
  });
  afterAll(() => world.close());

  it('may follow at once; one more is told 503, and memory stays bounded', async () => {
    const { port } = world.app.server.address() as AddressInfo;
    const path = '/v1/streams/predictions/cost';
    const sockets: Socket[] = [];
    /** The head of the answer, and the first event of an open stream. */
    const open = () =>
      new Promise<string>((done, fail) => {
        const socket = connect(port, '127.0.0.1');
        sockets.push(socket);
        let text = '';
        socket.on('error', fail);
        socket.on('data', (bytes) => {
          text += bytes.toString();
          if (text.includes('event: begin') || text.includes('requestId')) done(text);
        });
        socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
      });
    const before = process.memoryUsage();
    try {
      for (let from = 0; from < MOST; from += 100) {
        const heads = await Promise.all(Array.from({ length: 100 }, open));
        expect(heads.filter((head) => !head.startsWith('HTTP/1.1 200'))).toEqual([]);
      }
      const late = await Promise.all(Array.from({ length: 20 }, open));
      for (const head of late) {
        expect(head).toMatch(/^HTTP\/1\.1 503/);
        expect(head).toContain('"code":"too_many_streams"');
      }
      // The server and the client of each live in this process: half a stream is the server's.
      const now = process.memoryUsage();
      const each = (now.heapUsed + now.external - before.heapUsed - before.external) / MOST;
      expect(each).toBeLessThan(100_000);
      // All other requests are answered as ever.
      expect((await fetch(`http://127.0.0.1:${port}/v1/project`)).status).toBe(200);
      sockets[0]?.destroy();
      await new Promise((done) => setTimeout(done, 100));
      expect(await open()).toMatch(/^HTTP\/1\.1 200/);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

describe('what waits for a reader', () => {
  /** A response whose socket takes nothing. */
  function stuck() {
    const written: string[] = [];
    let destroyed = false;
    const response = Object.assign(new EventEmitter(), {
      writableLength: 0,
      write(text: string) {
        written.push(text);
        response.writableLength += text.length;
        return false;
      },
      end(text: string) {
        written.push(text);
      },
      destroy() {
        destroyed = true;
      },
    });
    return { response, written, destroyed: () => destroyed };
  }
  const event = { id: '1', event: 'x', data: 'y'.repeat(100) };

  it('is bounded: past it the reader is told, and cut off', async () => {
    const { response, written, destroyed } = stuck();
    const sink = createSink(response as never, 1_000);
    let accepted = 0;
    while (sink.write(event)) accepted += 1;
    expect(accepted).toBeLessThan(12);
    expect(written.at(-1)).toMatch(/^event: dropped\ndata: .*slow_reader/);
    expect([sink.closed.aborted, sink.write(event), await sink.drained()]).toEqual([true, false, false]);
    expect(written.join('').length).toBeLessThan(1_600);
    await until('the end of its socket', destroyed);
  });

  it('is congested before it is too much, and waited for by whoever can', async () => {
    const { response } = stuck();
    const sink = createSink(response as never, 1_000);
    for (let i = 0; i < 5; i += 1) sink.write(event);
    expect(sink.congested).toBe(true);
    const drained = sink.drained();
    response.writableLength = 0;
    response.emit('drain');
    expect(await drained).toBe(true);
    expect(sink.congested).toBe(false);
    response.emit('close');
    expect([sink.closed.aborted, sink.write(event)]).toEqual([true, false]);
  });
});
