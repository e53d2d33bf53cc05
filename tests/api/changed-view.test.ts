import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureRoutes } from '../../api/endpoints/features.ts';
import { createPredictors } from '../../api/predictor.ts';
import { createServer } from '../../api/server.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { MINUTE, SECOND } from '../../schemas/time.ts';
import { edited } from '../simulation/definitions.ts';
import { type ApiWorld, createApiWorld } from './world.ts';

const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

/** Somebody saves a changed view while `millrace dev` runs, and asks by HTTP: its state does not hold the past yet. */
describe('what is asked for after a view has changed', () => {
  const present = edited('views/line.yaml', (text) => text.replace('of: price > 50', 'of: price > 40'), 1);
  const start = Date.now() - 10 * MINUTE;
  let world: ApiWorld;

  const ask = async (before: ApiWorld['project'] | null, waitMs: number): Promise<Prediction> => {
    const predictorOf = createPredictors({ ...world.deps, project: present.project, before });
    const predictor = predictorOf(present.model.name);
    const event = predictor.read({
      id: 'asked',
      time: start + 8 * MINUTE,
      car: 'car-1',
      zone: 'north',
      to: 'station',
    });
    const [recorded] = await predictor.ask([event], waitMs);
    await recorded?.placed;
    if (recorded === undefined) throw new Error('an event was asked about, and there is no answer');
    return recorded.prediction;
  };

  beforeAll(async () => {
    world = await createApiWorld();
    world.run();
    const events = Array.from({ length: 50 }, (_, i) => ({
      id: `e${i}`,
      type: 'trip.started',
      time: start + i * 12 * SECOND,
      car: `car-${i % 3}`,
      zone: ['north', 'south'][i % 2],
      to: 'station',
    }));
    const sent = await world.app.inject({
      method: 'POST',
      url: '/v1/events/trips',
      headers: { 'content-type': 'application/x-ndjson', host: 'localhost' },
      payload: events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    });
    expect(sent.json()).toMatchObject({ accepted: 50, refused: 0 });
  });
  afterAll(() => world.close());

  it('a prediction is answered by the definition before, as the stream answers', async () => {
    const answer = await ask(world.project, 5_000);
    expect(answer.reason).toBeNull();
    expect(answer.status).toBe('scored');
    const known = new Set(world.project.views.map(({ id }) => id));
    expect(answer.reads.map(({ view }) => known.has(view))).toEqual(answer.reads.map(() => true));
  });

  it('a prediction has no score where nothing was in service before', async () => {
    expect(await ask(null, 50)).toMatchObject({ status: 'refused', reason: 'no_frontier' });
  });

  it('features are those of the definition before', async () => {
    const former = world.project.views.find(({ name }) => name === 'line');
    expect(present.project.views.find(({ name }) => name === 'line')?.id).not.toBe(former?.id);
    const read = (before: ApiWorld['project'] | null) => {
      const routes = featureRoutes({ ...world.deps, project: present.project, before });
      const server = createServer({
        routes,
        gate: { keys: null, tokens: null, now: Date.now },
        logger: QUIET,
        rate: null,
        checkAnswers: true,
      });
      return server
        .inject({ url: '/v1/features/line?entity=north%7Cstation', headers: { host: 'localhost' } })
        .finally(() => server.close());
    };
    expect((await read(world.project)).json()).toMatchObject({ view: former?.id, entity: 'north|station' });
    expect((await read(null)).statusCode).toBe(409);
  });
});
