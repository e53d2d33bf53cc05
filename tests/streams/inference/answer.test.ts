import { beforeEach, describe, expect, it } from 'vitest';
import { RecordTooLarge } from '../../../infrastructure/kafka/errors.ts';
import { groups, keys, topics } from '../../../schemas/names.ts';
import { answer } from '../../../streams/inference/answer.ts';
import type { InferenceContext } from '../../../streams/inference/context.ts';
import { Frontiers } from '../../../streams/inference/frontiers.ts';
import { HoldHints } from '../../../streams/inference/hold-hints.ts';
import { chooseReady, type RequestCodec, RequestQueue } from '../../../streams/inference/requests.ts';
import { NEXT_HEADER } from '../../../streams/inference/resume.ts';
import { SnapshotReader } from '../../../streams/inference/snapshot.ts';
import { VectorReader } from '../../../streams/inference/vector.ts';
import { Checkpoint } from '../../../streams/runtime/checkpoint.ts';
import { ALL_GUARDS } from '../../../streams/runtime/guards.ts';
import { RecordLimits } from '../../../streams/runtime/record-limits.ts';
import { readTails } from '../../../streams/runtime/tail.ts';
import { Waits } from '../../../streams/runtime/waits.ts';
import { attributesOfRecord, faultsOf } from '../../schemas/cloud-event-rules.ts';
import { FIXED } from '../../simulation/world.ts';
import { createPlane, type Plane, tripStart } from '../plane.ts';
import { listening } from '../telemetry.ts';

describe('the answer to a batch', () => {
  let plane: Plane;
  let context: InferenceContext;
  let queue: RequestQueue;
  /** Topics sent to, in order; a send waits for `acknowledge`. */
  let sends: string[];
  let acknowledge: () => void;

  beforeEach(async () => {
    plane = await createPlane();
    const { project, model, codecs, clock, store, kafka } = plane;
    const vectors = new VectorReader(project, model, new SnapshotReader(store));
    const requestCodec: RequestCodec = {
      codec: codecs.validated('trips'),
      targetsOf: ({ event }, time) => vectors.targets(event, time),
    };
    const consumer = await kafka.consumer({
      group: groups.inference(project.prefix, model.name),
      topics: [topics.validated(project.prefix, 'trips')],
      maxPollRecords: 10,
      onAssigned: async (assigned) => assigned.map(() => 0),
    });
    sends = [];
    let gate = Promise.resolve();
    acknowledge = () => {};
    const scorer = { ...FIXED, layoutHash: model.layoutHash };
    const roles = { champion: scorer, shadows: [{ ...scorer, version: 2 }] };
    const telemetry = listening();
    const producer = async () => {
      const inner = await kafka.producer();
      return {
        ...inner,
        send: async (records: Parameters<typeof inner.send>[0]) => {
          sends.push(records[0]?.topic.includes('.shadow.') ? 'shadow' : 'predictions');
          await gate;
          return inner.send(records);
        },
      };
    };
    context = {
      project,
      model,
      name: 'inference cost',
      codecs,
      clock,
      telemetry,
      guards: ALL_GUARDS,
      models: { current: () => () => roles, refresh: async () => {} },
      replayGateLimitMs: Number.POSITIVE_INFINITY,
      consumer,
      checkpoint: new Checkpoint({ kafka: { producer }, consumer, now: () => clock.now() }),
      limits: new RecordLimits(),
      vectors,
      frontiers: new Frontiers(new SnapshotReader(store), vectors.partitions, () => clock.now()),
      hints: new HoldHints(store, (partition) => keys.hold(project.prefix, model.name, partition)),
      waits: new Waits('inference cost', clock, telemetry),
      requestCodec,
      queues: new Map(),
      sending: Promise.resolve(),
      failure: null,
      clockWent: false,
      backlogWait: null,
      mismatched: new Set(),
    };
    hold = () => {
      gate = new Promise((resolve) => {
        acknowledge = resolve;
      });
    };
  });
  let hold: () => void;

  function ready(replayed: boolean, ...offsets: number[]) {
    const resume = { next: 0, answered: -1, replayed, shadowed: new Map<number, number>() };
    queue = new RequestQueue({ topic: 'validated', partition: 0 }, resume);
    const now = plane.clock.now();
    const records = offsets.map((offset) => ({
      topic: 'validated',
      partition: 0,
      offset,
      key: null,
      headers: null,
      appendTime: now,
      value: plane.codecs
        .validated('trips')
        .encode({ event: tripStart(`e${offset}`, now), offset, appendTime: now, arrivedAt: now }),
    }));
    queue.add({ topic: 'validated', partition: 0, records, highWatermark: 9 }, context.requestCodec, now);
    return chooseReady([queue], 10, () => true).ready;
  }

  const answers = async (topic: 'shadow' | 'predictions') =>
    (await readTails(plane.kafka, topics[topic](plane.project.prefix, plane.model.name), 100))
      .flat()
      .map(({ value }) => plane.codecs.predictions.decode(value ?? new Uint8Array()));

  it('sends shadow scores first, then predictions, and acknowledges what both hold', async () => {
    hold();
    await answer(context, ready(false, 0, 1));
    await new Promise((resolve) => setImmediate(resolve));
    expect([sends, queue.least(0)]).toEqual([['shadow'], Number.NEGATIVE_INFINITY]);
    acknowledge();
    await context.sending;
    expect(sends).toEqual(['shadow', 'predictions']);
    expect(queue.least(0)).toBe(plane.clock.now());
    expect((await answers('shadow')).map(({ modelVersion }) => modelVersion)).toEqual([2, 2]);
    expect((await answers('predictions')).map(({ requestId }) => requestId)).toEqual(['e0', 'e1']);
  });

  it('carries the headers of CloudEvents where its model declares them, beside where to go on; shadow scores none', async () => {
    const recordsOf = async (topic: 'shadow' | 'predictions') =>
      (await readTails(plane.kafka, topics[topic](plane.project.prefix, plane.model.name), 100)).flat();
    await answer(context, ready(false, 0));
    await context.sending;
    expect((await recordsOf('predictions')).map(({ headers }) => Object.keys(headers ?? {}))).toEqual([
      [NEXT_HEADER],
    ]);
    context = { ...context, model: { ...context.model, cloudEvents: true } };
    await answer(context, ready(false, 1, 2));
    await context.sending;
    const events = (await recordsOf('predictions')).slice(1);
    expect(events.map(({ headers }) => NEXT_HEADER in (headers ?? {}))).toEqual([false, true]);
    for (const [i, { headers, value }] of events.entries()) {
      const attributes = attributesOfRecord(headers ?? {});
      expect(faultsOf(attributes)).toEqual([]);
      const prediction = plane.codecs.predictions.decode(value ?? new Uint8Array());
      expect(attributes).toMatchObject({
        id: prediction.id,
        subject: `e${i + 1}`,
        type: `millrace.prediction.${prediction.status}`,
        time: new Date(prediction.requestTime).toISOString(),
      });
    }
    expect((await recordsOf('shadow')).flatMap(({ headers }) => Object.keys(headers ?? {}))).toEqual([]);
  });

  it('sends nothing before the batch before it is acknowledged', async () => {
    hold();
    await answer(context, ready(false, 0));
    let second = false;
    const answering = answer(context, ready(false, 1)).then(() => {
      second = true;
    });
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect([second, sends]).toEqual([false, ['shadow']]);
    acknowledge();
    await answering;
    await context.sending;
    expect(sends).toEqual(['shadow', 'predictions', 'shadow', 'predictions']);
  });

  it('a live request whose state is gone is refused, and says why', async () => {
    await answer(context, ready(false, 0));
    await context.sending;
    const [one] = await answers('predictions');
    expect([one?.status, one?.reason, one?.score]).toEqual(['refused', 'no_frontier', null]);
  });

  it('an answer that its topic does not take is the refusal too_large, and a dead letter of the request', async () => {
    const { name } = plane.model;
    for (const topic of [topics.predictions, topics.shadow])
      context.limits.learn(new RecordTooLarge(topic(plane.project.prefix, name), 0, 200));
    await answer(context, ready(false, 0));
    await context.sending;
    for (const topic of ['predictions', 'shadow'] as const) {
      const [one] = await answers(topic);
      expect(one).toMatchObject({
        requestId: 'e0',
        status: 'refused',
        reason: 'too_large',
        reads: [],
        vector: [],
      });
    }
    const { deadLetters } = plane.codecs;
    const letters = (
      await readTails(plane.kafka, topics.deadLetters(plane.project.prefix, 'trips'), 10)
    ).flat();
    expect(letters.map(({ value }) => deadLetters.decode(value ?? new Uint8Array()))).toMatchObject([
      { stage: 'inference', code: 'too_large', eventId: 'e0', sourceOffset: 0, writer: 'inference cost' },
    ]);
  });

  it('a request in backlog that passed a gate whose state is gone since is not answered from an older head', async () => {
    const inBacklog = ready(false, 0).map((item) => ({ ...item, backlog: true, promised: true }));
    await expect(answer(context, inBacklog)).rejects.toMatchObject({
      code: 'state_went_back',
      retriable: true,
    });
    expect(sends).toEqual([]);
  });

  it('nor is one of a model whose gate waits for long', async () => {
    context = { ...context, model: { ...context.model, gate: { maxWait: 60_000 } } };
    const patient = ready(false, 0).map((item) => ({ ...item, promised: true }));
    await expect(answer(context, patient)).rejects.toMatchObject({ code: 'state_went_back' });
  });

  it('a request in backlog that passed for want of time is answered', async () => {
    const inBacklog = ready(false, 0).map((item) => ({ ...item, backlog: true }));
    await answer(context, inBacklog);
    await context.sending;
    expect((await answers('predictions')).map(({ reason }) => reason)).toEqual(['no_frontier']);
  });

  it('a replayed request whose state is gone is not answered: it waits until the state is there again', async () => {
    await expect(answer(context, ready(true, 0))).rejects.toMatchObject({
      code: 'state_went_back',
      retriable: true,
    });
    expect(sends).toEqual([]);
  });

  it('a send that fails is seen at the next turn of the loop, and nothing of it counts as answered', async () => {
    plane.broker.failNextSend('before');
    await answer(context, ready(false, 0));
    await context.sending.catch(() => {});
    expect(context.failure).toMatchObject({ code: 'send_failed' });
    expect([sends, queue.least(0)]).toEqual([['shadow'], Number.NEGATIVE_INFINITY]);
  });
});
