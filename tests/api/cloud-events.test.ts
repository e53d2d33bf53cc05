import { expect, it } from 'vitest';
import { topics } from '../../schemas/names.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { attributesOfRecord, faultsOf } from '../schemas/cloud-event-rules.ts';
import { createApiWorld } from './world.ts';

it('an answer that was asked over HTTP is recorded as a CloudEvent where its model declares it', async () => {
  const world = await createApiWorld({
    edit: (project) => ({
      ...project,
      models: project.models.map((model) => ({ ...model, cloudEvents: true })),
    }),
  });
  try {
    world.run();
    const post = (url: string, payload: object) =>
      world.app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload });
    const start = Date.now() - 600_000;
    for (const seconds of [0, 60, 120])
      await post('/v1/events/trips', {
        id: `a${seconds}`,
        type: 'trip.started',
        time: new Date(start + seconds * 1_000).toISOString(),
        car: 'c',
        zone: 'z',
        to: 't',
      });
    const request = { id: 'asked', car: 'c', zone: 'z', to: 't', time: new Date(start).toISOString() };
    await expect
      .poll(async () => (await post('/v1/models/cost/predict', { request })).statusCode, { timeout: 20_000 })
      .toBe(200);
    const tails = await readTails(world.deps.kafka, topics.asked(world.project.prefix, 'cost'), 1e6);
    const [record] = tails.flat().slice(-1);
    const attributes = attributesOfRecord(record?.headers ?? {});
    expect(faultsOf(attributes)).toEqual([]);
    expect(attributes).toMatchObject({
      source: `/millrace/${world.project.prefix}/models/cost`,
      subject: 'asked',
      datacontenttype: 'application/vnd.apache.avro+binary',
    });
  } finally {
    await world.close();
  }
});
