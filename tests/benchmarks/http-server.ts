import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import type { ApiDeps } from '../../api/deps.ts';
import { openKeyFile } from '../../api/middleware/keys.ts';
import { createOutbox } from '../../api/outbox.ts';
import { apiRoutes } from '../../api/routes.ts';
import { createServer } from '../../api/server.ts';
import { loadProject } from '../../config/load.ts';
import { createMemoryArtefacts } from '../../infrastructure/memory/artefacts.ts';
import { createMemoryQueue } from '../../infrastructure/memory/queue.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { createLogger } from '../../infrastructure/telemetry/logger.ts';
import { createTelemetry } from '../../infrastructure/telemetry/telemetry.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { openServers } from '../../platform/platform.ts';
import { partitionOf } from '../../processors/partition.ts';
import { keys } from '../../schemas/names.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';
import { artefactFor } from '../simulation/versions.ts';
import { CARDS, cardOf } from './http-project.ts';

/**
 * The process that is measured: the API as `millrace api` serves it, keys and metrics and all, and beside it the yardstick, a bare
 * Fastify route with one MGET of the same keys.
 */
const [directory = '', prefix = '', keyFile = '', redisUrl = ''] = process.argv.slice(2);

const project = loadProject(directory, { environment: process.env, prefix });
const [view] = project.views;
const [model] = project.models;
if (view === undefined || model === undefined) throw new Error('the project has a view and a model');
const platform = openServers(project, { artefacts: directory });
const codecs = await openCodecs(project, createMemoryRegistry());
const { bytes, address } = artefactFor(model, 1);
const scorer = createScorer(parseArtefact(bytes, address), model.layoutHash);
const champion = {
  version: 1,
  artefact: address,
  layoutHash: scorer.layoutHash,
  threshold: scorer.threshold,
  score: (vector: Float64Array) => scorer.score(vector),
};
const logger = createLogger({ process: 'bench' });
const telemetry = createTelemetry({ process: 'bench', logger });
const outbox = createOutbox(platform.kafka);
const away = new Proxy({}, { get: () => () => Promise.reject(new Error('not in this benchmark')) });
const deps: ApiDeps = {
  project,
  before: null,
  kafka: platform.kafka,
  store: platform.store,
  warehouse: away as ApiDeps['warehouse'],
  codecs,
  artefacts: createMemoryArtefacts(),
  queue: createMemoryQueue(),
  clock: platform.clock,
  models: new Map([
    [model.name, { current: () => () => ({ champion, shadows: [] }), refresh: async () => {} }],
  ]),
  outbox,
  declarations: null,
  onFailure: (error) => logger.error({ error }, 'failed'),
};
const keyed = openKeyFile(keyFile);
const { routes } = apiRoutes(deps, {
  version: 'bench',
  keys: keyed,
  secureCookies: false,
  now: Date.now,
  ready: async () => [],
});
const api = createServer({
  routes,
  gate: { keys: keyed, tokens: null, now: Date.now },
  logger,
  onAnswer: (name, _status, ms) => telemetry.step('api', name, ms, 1),
  rate: { perSecond: 1e6, burst: 1e6 },
});

const redis = new Redis(redisUrl);
const groupOf = (entities: readonly string[]): string[] => {
  const place = keys.viewPartition(prefix, view.id, partitionOf(entities[0] ?? '', view.partitions));
  return [
    keys.meta(place),
    ...entities.flatMap((entity) => view.sets.map(({ suffix }) => keys.log(place, suffix, entity))),
  ];
};
const bare = Fastify({ logger: false });
const one = groupOf([cardOf(0)]);
const all = groupOf(Array.from({ length: CARDS }, (_, i) => cardOf(i)));
bare.get('/one', async () => ({ found: (await redis.mgetBuffer(...one)).length }));
bare.get('/hundred', async () => ({ found: (await redis.mgetBuffer(...all)).length }));

await api.listen({ host: '127.0.0.1', port: 0 });
await bare.listen({ host: '127.0.0.1', port: 0 });
const portOf = (server: typeof bare.server) => (server.address() as AddressInfo).port;
process.send?.({ api: portOf(api.server), bare: portOf(bare.server) });
process.once('disconnect', () => process.exit());
