import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TORN } from '../../infrastructure/redis/port.ts';
import { topics } from '../../schemas/names.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { tripStart } from '../streams/plane.ts';
import { type ApiWorld, createApiWorld } from './world.ts';

const json = { 'content-type': 'application/json', host: 'localhost' };

const until = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`${what} did not come`);
};

describe('events, features and predictions over HTTP', () => {
  let world: ApiWorld;
  const start = Date.now() - 10 * MINUTE;

  const post = async (url: string, body: unknown, type = 'application/json') =>
    world.app.inject({
      method: 'POST',
      url,
      headers: { ...json, 'content-type': type },
      payload: typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body),
    });
  const get = (url: string) => world.app.inject({ url, headers: json });

  async function answers(topic: 'predictions' | 'asked'): Promise<Prediction[]> {
    const { project, deps } = world;
    const [model] = project.models;
    const tails = await readTails(deps.kafka, topics[topic](project.prefix, model?.name ?? ''), 1e9);
    return tails
      .flat()
      .flatMap(({ value, partition, offset }) =>
        value === null ? [] : [{ ...deps.codecs.predictions.decode(value), partition, offset }],
      );
  }
  const streamed = (id: string) =>
    until(`the answer to ${id}`, async () =>
      (await answers('predictions')).find(({ requestId }) => requestId === id),
    );

  beforeAll(async () => {
    world = await createApiWorld();
    world.run();
    const lines = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({
        id: `e${i}`,
        type: i % 4 === 3 ? 'trip.ended' : 'trip.started',
        time: start + i * 12 * SECOND,
        car: `car-${i % 3}`,
        zone: ['north', 'south'][i % 2],
        to: 'station',
        ...(i % 4 === 3
          ? { price: 20 + i, started_at: new Date(start + (i - 2) * 12 * SECOND).toISOString() }
          : {}),
      }),
    );
    const sent = await post('/v1/events/trips', `${lines.join('\n')}\n`, 'application/x-ndjson');
    expect(sent.statusCode).toBe(202);
    expect(sent.json()).toMatchObject({ accepted: 40, refused: 0, topic: topics.raw('trips', 'trips') });
    await streamed('e38');
  });
  afterAll(() => world.close());

  /** While every view partition says that a commit failed half-way. */
  async function torn<T>(work: () => Promise<T>): Promise<T> {
    const { store } = world;
    const inner = store.read;
    store.read = async (groups) =>
      (await inner.call(store, groups)).map(([_, ...logs]) => [Buffer.from(TORN), ...logs]);
    try {
      return await work();
    } finally {
      store.read = inner;
    }
  }

  describe('POST /v1/events', () => {
    it('answers where the event stands', async () => {
      const first = (await post('/v1/events/trips', tripStart('one-a', start + 490 * SECOND))).json();
      const second = (await post('/v1/events/trips', tripStart('one-b', start + 490 * SECOND))).json();
      expect(first).toMatchObject({ id: 'one-a', topic: topics.raw('trips', 'trips'), partition: 0 });
      expect(second.offset).toBe(first.offset + 1);
    });

    it.each([
      ['another type', { type: 'trip.flown', car: 'c', zone: 'z', to: 't' }, 'unknown_type'],
      ['no type', { car: 'c', zone: 'z', to: 't' }, 'bad_type'],
      ['another field', { type: 'trip.started', car: 'c', zone: 'z', to: 't', tip: 1 }, 'unknown_field'],
      ['a field of an object', { type: 'trip.started', constructor: 'c' }, 'unknown_field'],
      ['another type of a field', { type: 'trip.started', car: 'c', zone: 5, to: 't' }, 'wrong_type'],
      ['no key', { type: 'trip.started', zone: 'z', to: 't' }, 'missing_key'],
      ['a missing field', { type: 'trip.started', car: 'c', to: 't' }, 'missing_field'],
      [
        'a time without a zone',
        { type: 'trip.started', car: 'c', zone: 'z', to: 't', time: '2026-01-01T00:00' },
        'bad_time',
      ],
      [
        '30 February',
        { type: 'trip.started', car: 'c', zone: 'z', to: 't', time: '2026-02-30T00:00:00Z' },
        'bad_time',
      ],
      ['half a millisecond', { type: 'trip.started', car: 'c', zone: 'z', to: 't', time: 1.5 }, 'bad_time'],
      ['an empty id', { id: '', type: 'trip.started', car: 'c', zone: 'z', to: 't' }, 'bad_id'],
      [
        'a broken rule',
        { type: 'trip.ended', car: 'c', zone: 'z', to: 't', price: -1, started_at: 0 },
        'rule_failed',
      ],
    ])('refuses %s, and Kafka does not hear of it', async (_, event, code) => {
      const bounds = async () =>
        (await (await world.deps.kafka.admin()).offsets(topics.raw('trips', 'trips')))[0]?.end;
      const before = await bounds();
      const answer = await post('/v1/events/trips', event);
      expect([answer.statusCode, answer.json().code]).toEqual([422, code]);
      expect(await bounds()).toBe(before);
    });

    it('answers each line by itself', async () => {
      const good = JSON.stringify(tripStart('line-1', start + 491 * SECOND));
      const lines = [good, '', '{', '[1]', JSON.stringify({ ...tripStart('line-5', start), zone: 7 })];
      const answer = (await post('/v1/events/trips', lines.join('\r\n'), 'application/x-ndjson')).json();
      expect([answer.accepted, answer.refused]).toEqual([1, 3]);
      expect(answer.rows.map((one: { row: number; code: string | null }) => [one.row, one.code])).toEqual([
        [1, null],
        [3, 'bad_json'],
        [4, 'not_an_object'],
        [5, 'wrong_type'],
      ]);
      const none = await post('/v1/events/trips', '{\n{\n', 'application/x-ndjson');
      expect([none.statusCode, none.json().code, none.json().errors]).toEqual([
        422,
        'no_row_fits',
        [expect.objectContaining({ where: 'row 1' }), expect.objectContaining({ where: 'row 2' })],
      ]);
      const latin = Buffer.from(good.replace('station', 'Lünen'), 'latin1');
      const refused = await post('/v1/events/trips', latin, 'application/x-ndjson');
      expect([refused.statusCode, refused.json().detail]).toEqual([400, expect.stringContaining('UTF-8')]);
    });

    it('says so where Kafka may not have it, and goes on with another producer', async () => {
      world.broker.failNextSend('before', topics.raw('trips', 'trips'));
      const away = await post('/v1/events/trips', tripStart('again', start + 492 * SECOND));
      expect([away.statusCode, away.json().code]).toEqual([503, 'send_failed']);
      expect((await post('/v1/events/trips', tripStart('again', start + 492 * SECOND))).statusCode).toBe(202);
    });

    it('names the nearest source', async () => {
      const answer = await post('/v1/events/trip', {});
      expect([answer.statusCode, answer.json().detail]).toEqual([404, expect.stringContaining("'trips'")]);
    });
  });

  describe('/v1/features', () => {
    it('gives one entity and many the same', async () => {
      const at = start + 5 * MINUTE;
      const one = (await get(`/v1/features/zone?entity=north&at=${at}`)).json();
      expect(one).toMatchObject({
        entity: 'north',
        time: at,
        asOf: at - 30 * SECOND - ((at - 30 * SECOND) % 10_000),
      });
      expect(one.features.starts_10m).toBeGreaterThan(0);
      const many = (
        await post('/v1/features/zone', {
          entities: ['north', { zone: 'south' }, 'nowhere'],
          at: new Date(at).toISOString(),
        })
      ).json();
      expect(many.answers.map(({ entity }: { entity: string }) => entity)).toEqual([
        'north',
        'south',
        'nowhere',
      ]);
      const named = Object.fromEntries(
        many.names.map((name: string, i: number) => [name, many.answers[0].values[i]]),
      );
      expect(named).toEqual(one.features);
      const [, , nobody] = many.answers;
      expect(nobody.values[many.names.indexOf('starts_10m')]).toBe(0);
      expect(nobody.values[many.names.indexOf('price_last_1h')]).toBeNull();
    });

    it('reads the newest exact edge where no time is named', async () => {
      const { time, asOf } = (await get('/v1/features/zone?entity=north')).json();
      expect(asOf % 10_000).toBe(0);
      expect(time - asOf).toBeGreaterThanOrEqual(30_000);
    });

    it('takes parts of a key that hold whatever they hold', async () => {
      const at = start + 495 * SECOND;
      await post('/v1/events/trips', { ...tripStart('odd', start + 440 * SECOND, 'a|b'), to: '' });
      const body = { entities: [{ zone: 'a|b', to: '' }], at };
      const [odd] = (await post('/v1/features/line', body)).json().answers;
      const [plain] = (await post('/v1/features/line', { entities: ['a|b'], at })).json().answers;
      expect([odd.status, plain.status, odd.entity === plain.entity]).toEqual(['read', 'read', false]);
      const zone = (await get(`/v1/features/zone?entity=a%7Cb&at=${at}`)).json();
      expect(zone.entity).toBe('a|b');
    });

    it('takes a key of several parts in both forms', async () => {
      const one = (await get('/v1/features/line?entity=north%7Cstation')).json();
      const [same] = (
        await post('/v1/features/line', { entities: [{ to: 'station', zone: 'north' }] })
      ).json().answers;
      expect(same.entity).toBe(one.entity);
      expect(same.values).toEqual(Object.values(one.features));
    });

    it.each([
      ['another view', '/v1/features/zon?entity=a', 404, 'unknown_view'],
      ['too few parts', '/v1/features/line?entity=a', 422, 'bad_entity'],
      ['too many parts', '/v1/features/line?entity=a%7Cb%7Cc', 422, 'bad_entity'],
      ['no entity', '/v1/features/zone', 400, 'bad_request'],
      ['no zone of the world', '/v1/features/zone?entity=a&zone=Mars/Base', 422, 'unknown_zone'],
      ['no time', '/v1/features/zone?entity=a&at=yesterday', 400, 'bad_request'],
    ])('refuses %s', async (_, url, status, code) => {
      const answer = await get(url);
      expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    });

    it.each([
      ['no entities', { entities: [] }],
      ['too many', { entities: Array.from({ length: 1_001 }, () => 'a') }],
      ['an entity that is null', { entities: [null] }],
      ['an empty body', {}],
    ])('refuses %s', async (_, body) => {
      expect((await post('/v1/features/zone', body)).statusCode).toBe(400);
    });

    it('refuses a view partition that is torn, one entity or many', async () => {
      const { one, many } = await torn(async () => ({
        one: await get('/v1/features/zone?entity=north'),
        many: await post('/v1/features/zone', { entities: ['north', 'south'] }),
      }));
      expect([one.statusCode, one.json().code]).toEqual([409, 'torn']);
      expect(many.json().answers).toEqual(
        ['north', 'south'].map((entity) => ({ entity, status: 'refused', reason: 'torn' })),
      );
    });

    it('reads everything of a request in one round trip', async () => {
      const reads: number[] = [];
      const { store } = world;
      const inner = store.read;
      store.read = (groups) => {
        reads.push(groups.length);
        return inner.call(store, groups);
      };
      await post('/v1/features/zone', { entities: ['north', 'south', 'a', 'b', 'c'] });
      await post('/v1/models/cost/predict', {
        request: { car: 'c', zone: 'north', to: 'station', time: start + 5 * MINUTE },
      });
      store.read = inner;
      // One snapshot a view partition: one of zone; one of zone and one of line.
      expect(reads).toEqual([1, 2]);
    });
  });

  describe('POST /v1/models/{model}/predict', () => {
    it('answers bit for bit as the stream does at the same as-of', async () => {
      const event = tripStart('twice', start + 495 * SECOND, 'north');
      await post('/v1/events/trips', event);
      const stream = await streamed('twice');
      const answer = (await post('/v1/models/cost/predict', { request: event, vector: true })).json();
      const asOf = (reads: readonly { asOf: number }[]) => reads.map((one) => one.asOf);
      expect(asOf(answer.reads)).toEqual(asOf(stream.reads));
      expect(Object.is(answer.score, stream.score)).toBe(true);
      expect(answer.decision).toBe(stream.decision);
      expect(Object.values(answer.features)).toEqual(
        stream.vector.map((one) => (Number.isNaN(one) ? null : one)),
      );
      const asked = (await answers('asked')).find(({ requestId }) => requestId === 'twice');
      expect(asked).toMatchObject({
        id: 'twice:cost',
        sourceTopic: topics.asked('trips', 'cost'),
        partition: answer.record.partition,
        offset: answer.record.offset,
      });
      expect(asked?.vector.map((one) => Object.is(one, Number.NaN) || one)).toEqual(
        stream.vector.map((one) => Object.is(one, Number.NaN) || one),
      );
      expect(asked?.score).toBe(stream.score);
    });

    it('does not send the event, nor answer in the place of the stream', async () => {
      const before = (await answers('predictions')).length;
      await post('/v1/models/cost/predict', { request: tripStart('asked-only', start + 496 * SECOND) });
      await new Promise((done) => setTimeout(done, 200));
      expect((await answers('predictions')).length).toBe(before);
    });

    it.each([
      ['another model', '/v1/models/costs/predict', { request: {} }, 404, 'unknown_model'],
      ['another event', '/v1/models/cost/predict', { request: { type: 'trip.ended' } }, 422, 'wrong_event'],
      ['a missing field', '/v1/models/cost/predict', { request: { zone: 'a' } }, 422, 'missing_field'],
      ['no request', '/v1/models/cost/predict', {}, 400, 'bad_request'],
      ['no value', '/v1/models/cost/predict', { request: {}, on_refusal: 'value' }, 422, 'no_value'],
      [
        'a deadline in the past',
        '/v1/models/cost/predict',
        { request: {}, deadline_ms: 0 },
        400,
        'bad_request',
      ],
    ])('refuses %s', async (_, url, body, status, code) => {
      const answer = await post(url, body);
      expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
    });

    const request = { car: 'c', zone: 'south', to: 'station', time: start + 6 * MINUTE };

    it('does what was declared where there is no score', async () => {
      const strange = { ...request, id: 'strange', zone: 'elsewhere' };
      const { error, value, none } = await torn(async () => ({
        error: await post('/v1/models/cost/predict', { request: strange }),
        value: await post('/v1/models/cost/predict', { request: strange, on_refusal: 'value', value: 0.75 }),
        none: await post('/v1/models/cost/predict', { request: strange, on_refusal: 'last' }),
      }));
      expect([error.statusCode, error.json().code]).toEqual([409, 'torn']);
      expect(error.json().prediction).toMatchObject({ status: 'refused', reason: 'torn', score: null });
      expect(value.json()).toMatchObject({
        status: 'refused',
        reason: 'torn',
        score: 0.75,
        decision: true,
        fallback: 'value',
      });
      expect([none.statusCode, none.json().code]).toEqual([409, 'torn']);
      // Each refusal is recorded as such, whatever was answered instead.
      const records = (await answers('asked')).filter(({ requestId }) => requestId === 'strange');
      expect(records.map(({ reason, score }) => [reason, score])).toEqual(
        Array.from({ length: 3 }, () => ['torn', null]),
      );
    });

    it('answers with the last score of the same entities, and says of when', async () => {
      const now = (await post('/v1/models/cost/predict', { request })).json();
      const { later, other } = await torn(async () => ({
        later: await post('/v1/models/cost/predict', {
          request: { ...request, time: request.time + MINUTE },
          on_refusal: 'last',
        }),
        other: await post('/v1/models/cost/predict', {
          request: { ...request, zone: 'elsewhere' },
          on_refusal: 'last',
        }),
      }));
      expect(later.json()).toMatchObject({
        score: now.score,
        decision: now.decision,
        fallback: 'last',
        lastTime: request.time,
        status: 'refused',
        reason: 'torn',
      });
      expect([other.statusCode, other.json().code]).toEqual([409, 'torn']);
    });

    it('waits for a state that is being rebuilt as long as the gate of the model does', async () => {
      const began = performance.now();
      const { answer } = await torn(async () => ({
        answer: await post('/v1/models/cost/predict', { request }),
      }));
      expect([answer.statusCode, answer.json().code]).toEqual([409, 'torn']);
      expect(performance.now() - began).toBeGreaterThanOrEqual(20);
      expect(answer.json().prediction.ms.wait).toBeGreaterThan(0);
    });

    it('keeps a deadline, whatever the store does', async () => {
      const { store } = world;
      const inner = store.read;
      store.read = async (groups) => {
        await new Promise((done) => setTimeout(done, 400));
        return inner.call(store, groups);
      };
      const late = { ...request, id: 'late' };
      const began = performance.now();
      const answer = await post('/v1/models/cost/predict', {
        request,
        deadline_ms: 40,
        on_refusal: 'value',
        value: 0,
      });
      const took = performance.now() - began;
      const error = await post('/v1/models/cost/predict', { request: late, deadline_ms: 40 });
      store.read = inner;
      expect(took).toBeLessThan(300);
      expect(answer.json()).toMatchObject({ reason: 'deadline', score: 0, fallback: 'value', record: null });
      expect([error.statusCode, error.json().code]).toEqual([504, 'deadline']);
      // What came too late for the caller is recorded all the same.
      await until('the late record', async () =>
        (await answers('asked')).find(({ requestId }) => requestId === 'late'),
      );
    });

    it('does what was declared where the store is away', async () => {
      const { store } = world;
      const inner = store.read;
      store.read = async () => {
        const { StoreError } = await import('../../infrastructure/redis/errors.ts');
        throw new StoreError('unreachable', 'Redis is away.');
      };
      const error = await post('/v1/models/cost/predict', { request });
      const value = await post('/v1/models/cost/predict', { request, on_refusal: 'value', value: 0.1 });
      store.read = inner;
      expect([error.statusCode, error.json().code]).toEqual([503, 'unreachable']);
      expect(value.json()).toMatchObject({ reason: 'unavailable', score: 0.1, decision: false });
    });

    it('answers without a record where Kafka is away and a fallback was declared', async () => {
      const answers = topics.asked('trips', 'cost');
      world.broker.failNextSend('before', answers);
      const error = await post('/v1/models/cost/predict', { request });
      expect([error.statusCode, error.json().code]).toEqual([503, 'send_failed']);
      world.broker.failNextSend('before', answers);
      const value = await post('/v1/models/cost/predict', { request, on_refusal: 'last' });
      expect(value.json()).toMatchObject({ status: 'scored', fallback: null, record: null });
    });
  });

  it('tensors of the inference protocol that share a name are refused: one would be lost', async () => {
    const tensor = (name: string, value: string) => ({ name, datatype: 'BYTES', shape: [1], data: [value] });
    const inputs = [tensor('car', 'c'), tensor('zone', 'north'), tensor('to', 'station')];
    const twice = await post('/v2/models/cost/infer', { inputs: [...inputs, tensor('zone', 'south')] });
    expect([twice.statusCode, twice.json().error]).toEqual([
      422,
      "Tensor 'zone' is there twice: leave one out.",
    ]);
  });

  // Last: it makes everything before it late.
  it('draws an id, takes now for the time, and null for what is left out', async () => {
    const answer = (
      await post('/v1/events/trips', { type: 'trip.started', car: 'c', zone: 'z', to: 't' })
    ).json();
    expect(answer.id).toMatch(/^[0-9a-f-]{36}$/);
    const tails = await readTails(world.deps.kafka, topics.raw('trips', 'trips'), 1e9);
    const record = tails.flat().find(({ offset }) => offset === answer.offset);
    if (record === undefined) throw new Error('it stands in the topic');
    const { event } = world.deps.codecs.raw('trips').decode(record);
    expect(event).toMatchObject({ id: answer.id, price: null, started_at: null });
    expect(Math.abs((event?.time ?? 0) - Date.now())).toBeLessThan(10_000);
  });
});

describe('a project without a champion', () => {
  it('says that no version was promoted', async () => {
    const world = await createApiWorld({ champion: false });
    world.run();
    const post = (url: string, payload: object) =>
      world.app.inject({ method: 'POST', url, headers: json, payload });
    const early = await post('/v1/models/cost/predict', { request: { car: 'c', zone: 'z', to: 't' } });
    expect([early.statusCode, early.json().code]).toEqual([409, 'no_frontier']);
    const times = [0, 60, 120].map((seconds) => Date.now() - 600_000 + seconds * SECOND);
    for (const time of times) await post('/v1/events/trips', tripStart(`a${time}`, time));
    await until('a frontier', async () => {
      const answer = await post('/v1/models/cost/predict', {
        request: { car: 'c', zone: 'north', to: 'station', time: (times[2] ?? 0) - 1 },
      });
      return answer.json().code === 'no_model' ? true : undefined;
    });
    await world.close();
  });
});
