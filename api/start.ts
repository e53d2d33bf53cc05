import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../infrastructure/telemetry/logger.ts';
import type { Platform } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import { MillraceError } from '../schemas/refusal.ts';
import { followModels, type ModelFollower } from '../streams/inference/follow-models.ts';
import { definitionBefore } from '../streams/inference/takeover.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';
import type { Declarations } from './declarations.ts';
import type { ApiDeps } from './deps.ts';
import { type KeyFile, openKeyFile } from './middleware/keys.ts';
import { isLoopback } from './middleware/local.ts';
import type { Rate } from './middleware/rate.ts';
import { createTokenVerifier, type OidcOptions } from './middleware/tokens.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import { apiRoutes } from './routes.ts';
import { createServer, type ServerLimits } from './server.ts';

/** The server would be open to strangers. */
export class NeedsKey extends MillraceError {
  readonly code = 'needs_key';
  readonly retriable = false;
}

export interface ApiSettings {
  readonly project: Project;
  readonly platform: Platform;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  readonly version: string;
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  readonly keyFile: string;
  readonly oidc: OidcOptions | null;
  /** Of one caller. */
  readonly rate: Rate | null;
  readonly limits?: Partial<ServerLimits>;
  /** Built files of the console; left out: there is none. */
  readonly consoleDirectory?: string;
  readonly declarations?: Declarations;
}

export interface RunningApi {
  readonly url: string;
  /** Nobody is asked for a key. */
  readonly isOpen: boolean;
  /** It serves the console below /console/. */
  readonly hasConsole: boolean;
  readonly app: FastifyInstance;
  /** Takes nothing new, lets what is under way end, and closes. The platform stays. */
  close(): Promise<void>;
}

/** How long what is under way may take at the end, ms. */
const STOP_WITHIN_MS = 10_000;

/** Somebody else listens where the server is to listen. */
export class AddressTaken extends MillraceError {
  readonly code = 'address_taken';
  readonly retriable = false;
  override readonly final = true;

  constructor(host: string, port: number, options?: { cause?: unknown }) {
    super(
      `Another program listens at ${host}:${port}: end it (another millrace dev or api?), or choose another port with --port, or --api-port of dev; 0 takes a free one.`,
      options,
    );
  }
}

/** Null: open. Only an address of this machine alone may be. Throws NeedsKey. */
function keysOf({ host, keyFile, oidc }: ApiSettings, now: () => number): KeyFile | null {
  const keys = openKeyFile(keyFile, now);
  const counting = keys
    .all()
    .filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt > now()));
  if (counting.length > 0 || oidc !== null) return keys;
  if (isLoopback(host)) return null;
  throw new NeedsKey(
    `Whoever reaches ${host} could do everything, and ${keyFile} holds no key that counts: make one first (millrace keys create NAME --role admin), or listen at 127.0.0.1.`,
  );
}

/** Serves the HTTP API of a project. Throws NeedsKey, BadKeyFile, AddressTaken, and what opening the servers throws. */
export async function startApi(settings: ApiSettings): Promise<RunningApi> {
  const { project, platform, logger, telemetry, host, port, oidc, version } = settings;
  const { clock } = platform;
  const now = () => clock.now();
  const keys = keysOf(settings, now);
  const codecs = await platform.codecs();
  const models = new Map<string, ModelFollower>();
  const outbox = createOutbox(platform.kafka);
  const onFailure = (error: Error) => telemetry.failure('api', error);
  const closeParts = () => closeAll(models, outbox);
  try {
    for (const { name } of project.models)
      models.set(name, await followModels({ ...followDeps(settings), codecs, model: name }));
    const deps: ApiDeps = {
      project,
      before: await definitionBefore({
        project,
        kafka: platform.kafka,
        store: platform.store,
        codecs,
        telemetry,
      }),
      kafka: platform.kafka,
      store: platform.store,
      warehouse: platform.warehouse,
      artefacts: platform.artefacts,
      queue: platform.queue,
      codecs,
      clock,
      models,
      outbox,
      declarations: settings.declarations ?? null,
      onFailure,
    };
    const { routes, close: closeRoutes } = apiRoutes(deps, {
      version,
      keys,
      secureCookies: !isLoopback(host),
      now,
      ready: () => whatIsAway(platform),
    });
    const app = createServer({
      routes,
      gate: { keys, tokens: oidc === null ? null : createTokenVerifier(oidc), now },
      logger,
      onAnswer: (route, _status, ms) => telemetry.step('api', route, ms, 1),
      rate: settings.rate,
      ...(settings.limits === undefined ? {} : { limits: settings.limits }),
      ...(settings.consoleDirectory === undefined ? {} : { consoleDirectory: settings.consoleDirectory }),
    });
    await app.listen({ host, port }).catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'EADDRINUSE' ? new AddressTaken(host, port, { cause }) : cause;
    });
    const address = app.server.address() as AddressInfo;
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return {
      url: `http://${name}:${address.port}`,
      isOpen: keys === null,
      hasConsole: settings.consoleDirectory !== undefined,
      app,
      async close() {
        const hard = setTimeout(() => app.server.closeAllConnections(), STOP_WITHIN_MS);
        await app.close();
        clearTimeout(hard);
        await closeRoutes();
        await closeParts();
      },
    };
  } catch (error) {
    await closeParts();
    throw error;
  }
}

const followDeps = ({ project, platform, telemetry }: ApiSettings) => ({
  prefix: project.prefix,
  kafka: platform.kafka,
  artefacts: platform.artefacts,
  clock: platform.clock,
  telemetry,
});

async function closeAll(models: ReadonlyMap<string, ModelFollower>, outbox: Outbox): Promise<void> {
  await outbox.close();
  for (const follower of models.values()) await follower.close();
}

const LOOK_WITHIN_MS = 2_000;

/** Asks what every answer needs. */
async function whatIsAway({ store, kafka }: Platform): Promise<string[]> {
  const asks: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
    ['The online store does not answer.', () => store.read([['mr:{millrace.health}:nothing']])],
    [
      'Kafka does not answer.',
      async () => {
        const admin = await kafka.admin();
        await admin.topics().finally(() => admin.close());
      },
    ],
  ];
  const found = await Promise.all(
    asks.map(async ([sentence, ask]) => {
      const late = new Promise<'late'>((done) => setTimeout(done, LOOK_WITHIN_MS, 'late').unref());
      const asked = ask().then(
        () => null,
        () => sentence,
      );
      const answer = await Promise.race([asked, late]);
      return answer === 'late' ? sentence : answer;
    }),
  );
  return found.filter((sentence) => sentence !== null);
}
