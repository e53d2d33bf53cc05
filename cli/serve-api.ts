import { join } from 'node:path';
import type { Command } from 'commander';
import { type RunningApi, startApi } from '../api/start.ts';
import type { Logger } from '../infrastructure/telemetry/logger.ts';
import type { Platform } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import type { Stream } from '../streams/runtime/stream.ts';
import type { Telemetry } from '../streams/runtime/telemetry.ts';
import type { CommandContext } from './command.ts';
import { consoleDirectoryOf } from './console-files.ts';
import { UsageError } from './errors.ts';
import { wholeOption } from './options.ts';
import { declarationsOf } from './try/declarations.ts';
import { codeVersion } from './version.ts';

export interface ApiOptions {
  readonly host: string;
  readonly port: number;
  readonly keys?: string;
  readonly rate: number;
  readonly oidcIssuer?: string;
  readonly oidcAudience?: string;
  readonly oidcRoleClaim: string;
}

/** A caller may make so many requests at once after a pause, as a multiple of those a second. */
const BURST = 2;

export const API_DEFAULTS: Omit<ApiOptions, 'host' | 'port'> = { rate: 2_000, oidcRoleClaim: 'roles' };

export function addApiOptions(command: Command): Command {
  return command
    .option('--host <address>', 'address to listen at; any but one of this machine needs keys', '127.0.0.1')
    .option('--port <port>', 'port to listen at; 0 = a free one', wholeOption(0), 8420)
    .option('--keys <file>', 'file of keys (default: api-keys.json in the data directory)')
    .option(
      '--rate <n>',
      'requests a second of one caller; 0 = no limit, for tests',
      wholeOption(0),
      API_DEFAULTS.rate,
    )
    .option('--oidc-issuer <url>', 'take tokens of this OpenID Connect issuer too')
    .option('--oidc-audience <name>', 'audience that its tokens must name')
    .option(
      '--oidc-role-claim <path>',
      'claim of its tokens that holds the role, with dots',
      API_DEFAULTS.oidcRoleClaim,
    );
}

export const keyFileOf = ({ environment }: CommandContext, file: string | undefined) =>
  file ?? join(environment.dataDirectory, 'api-keys.json');

function oidcOf({ oidcIssuer: issuer, oidcAudience: audience, oidcRoleClaim: roleClaim }: ApiOptions) {
  if (issuer === undefined && audience === undefined) return null;
  if (issuer === undefined || audience === undefined)
    throw new UsageError('Tokens need both --oidc-issuer and --oidc-audience.');
  return { issuer, audience, roleClaim };
}

interface Parts {
  readonly project: Project;
  readonly platform: Platform;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
}

export function openApi(context: CommandContext, parts: Parts, options: ApiOptions): Promise<RunningApi> {
  const consoleDirectory = consoleDirectoryOf(context);
  return startApi({
    ...parts,
    version: codeVersion(context.environment.packageDirectory).split(' ').at(-1) ?? '',
    host: options.host,
    port: options.port,
    keyFile: keyFileOf(context, options.keys),
    declarations: declarationsOf(context, parts.project),
    oidc: oidcOf(options),
    ...(consoleDirectory === null ? {} : { consoleDirectory }),
    rate: options.rate === 0 ? null : { perSecond: options.rate, burst: BURST * options.rate },
  });
}

export function sayWhere({ output }: CommandContext, api: RunningApi): void {
  output.note(`HTTP API at ${api.url} (${api.url}/openapi.json)`);
  if (api.hasConsole) output.note(`Console at ${api.url}/console/`);
  if (api.isOpen)
    output.warn(
      'It asks nobody for a key: every program of this machine may do everything. Make keys with millrace keys create.',
    );
}

/** How often it says that it serves, ms. */
const SERVING_EVERY_MS = 5_000;

/** The API as one of the streams of a process. */
export function apiStream(context: CommandContext, parts: Parts, options: ApiOptions): Stream {
  return {
    name: 'api',
    async run(signal, healthy = () => {}) {
      const api = await openApi(context, parts, options);
      sayWhere(context, api);
      healthy();
      // Whoever supervises it believes that it has got over a failure once it has served for a while.
      const serving = setInterval(healthy, SERVING_EVERY_MS);
      if (!signal.aborted)
        await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
      clearInterval(serving);
      await api.close();
    },
  };
}
