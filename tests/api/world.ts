import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import type { ApiDeps } from '../../api/deps.ts';
import type { Gatekeeper } from '../../api/middleware/authenticate.ts';
import type { KeyFile, StoredKey } from '../../api/middleware/keys.ts';
import { createOutbox } from '../../api/outbox.ts';
import type { Role } from '../../api/roles.ts';
import type { Route } from '../../api/route.ts';
import { apiRoutes } from '../../api/routes.ts';
import { createServer, type ServerOptions } from '../../api/server.ts';
import { loadProject } from '../../config/load.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { createMemoryArtefacts } from '../../infrastructure/memory/artefacts.ts';
import { createMemoryBroker, type MemoryBroker } from '../../infrastructure/memory/broker.ts';
import { createMemoryQueue } from '../../infrastructure/memory/queue.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { createMemoryStore, type MemoryStore } from '../../infrastructure/memory/store.ts';
import type { SchemaRegistry } from '../../infrastructure/registry/port.ts';
import { wallClock } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { createFeatures } from '../../streams/features/features.ts';
import { createInference } from '../../streams/inference/inference.ts';
import type { Models, ScoringModel } from '../../streams/inference/predict.ts';
import { createIngest } from '../../streams/ingest/ingest.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { FIXED } from '../simulation/world.ts';

/** The API of the simulation's project on the in-memory twins, and the streams behind it. */
export interface ApiWorld {
  readonly project: Project;
  readonly deps: ApiDeps;
  readonly routes: readonly Route[];
  readonly app: FastifyInstance;
  readonly broker: MemoryBroker;
  readonly store: MemoryStore;
  readonly registry: SchemaRegistry;
  /** Lines of the server's log. */
  readonly log: Array<{
    readonly level: string;
    readonly fields: Record<string, unknown>;
    readonly message: string;
  }>;
  /** Runs ingest, features and inference until the world is closed. */
  run(): void;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly keys?: KeyFile | null;
  readonly tokens?: Gatekeeper['tokens'];
  readonly warehouse?: Warehouse;
  readonly server?: Partial<ServerOptions>;
  /** What scores; false: nobody has promoted a version. Default: a sum that is no artefact. */
  readonly champion?: ScoringModel | false;
  readonly artefacts?: ApiDeps['artefacts'];
  readonly declarations?: ApiDeps['declarations'];
  readonly before?: ApiDeps['before'];
  readonly edit?: (project: Project) => Project;
}

const nowhere = (): never => {
  throw new Error('this test has no warehouse');
};
const NO_WAREHOUSE: Warehouse = {
  command: nowhere,
  query: nowhere,
  ask: nowhere,
  stream: nowhere,
  insert: nowhere,
  insertRaw: nowhere,
  close: async () => {},
};

export async function createApiWorld(options: WorldOptions = {}): Promise<ApiWorld> {
  const directory = fileURLToPath(new URL('../simulation/project', import.meta.url));
  const { edit = (declared) => declared } = options;
  const project = edit(loadProject(directory, { environment: {}, partitions: 1 }));
  const broker = createMemoryBroker(wallClock);
  const kafka = broker.kafka();
  await (await kafka.admin()).createTopics(topicSpecs(project));
  const registry = createMemoryRegistry();
  const codecs = await openCodecs(project, registry);
  const store = createMemoryStore();
  const log: ApiWorld['log'] = [];
  const say = (level: string) => (fields: object, message: string) =>
    void log.push({ level, fields: { ...fields }, message });
  const [model] = project.models;
  if (model === undefined) throw new Error('the project has a model');
  const champion =
    options.champion === false ? null : (options.champion ?? { ...FIXED, layoutHash: model.layoutHash });
  const models: Models = { current: () => () => ({ champion, shadows: [] }), refresh: async () => {} };
  const outbox = createOutbox(kafka);
  const queue = createMemoryQueue();
  const deps: ApiDeps = {
    project,
    before: options.before ?? null,
    kafka,
    store,
    warehouse: options.warehouse ?? NO_WAREHOUSE,
    codecs,
    artefacts: options.artefacts ?? createMemoryArtefacts(),
    queue,
    clock: wallClock,
    models: new Map([[model.name, models]]),
    outbox,
    declarations: options.declarations ?? null,
    onFailure: (error) => log.push({ level: 'warn', fields: { error }, message: 'failure' }),
  };
  const keys = options.keys ?? null;
  const { routes, close: closeRoutes } = apiRoutes(deps, {
    version: '0.0.0',
    keys,
    secureCookies: false,
    now: Date.now,
    ready: async () => [],
  });
  const app = createServer({
    routes,
    gate: { keys, tokens: options.tokens ?? null, now: Date.now },
    logger: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    rate: null,
    checkAnswers: true,
    ...options.server,
  });
  const stop = new AbortController();
  let running: Promise<unknown> = Promise.resolve();
  return {
    project,
    deps,
    routes,
    app,
    broker,
    store,
    registry,
    log,
    run() {
      const parts = { project, kafka, store, codecs, clock: wallClock, telemetry: SILENT };
      const streams = [
        createIngest(parts),
        createFeatures(parts),
        createInference({ ...parts, model, models }),
      ];
      running = Promise.all(streams.map((stream) => stream.run(stop.signal)));
    },
    async close() {
      stop.abort();
      await running;
      await app.close();
      await closeRoutes();
      await outbox.close();
      await queue.close();
      await kafka.close();
    },
  };
}

/** Keys without a file: one a role, named after it. The key is `mr-test-<role>`. */
export function testKeys(): KeyFile {
  const stored = (role: Role): StoredKey => ({
    id: role,
    name: `the ${role}`,
    role,
    hash: 'ab'.repeat(32),
    createdAt: 0,
    expiresAt: null,
    revokedAt: null,
  });
  const byName = new Map<string, StoredKey>(
    (['viewer', 'producer', 'operator', 'admin'] as const).map((role) => [role, stored(role)]),
  );
  return {
    all: () => [...byName.values()],
    create: () => {
      throw new Error('not here');
    },
    revoke: () => [],
    verify: (text) => byName.get(text.replace('mr-test-', '')) ?? null,
    valid: (id) => byName.get(id) ?? null,
  };
}

export const as = (role: Role) => ({ authorization: `Bearer mr-test-${role}` });
