import { createLogger } from '../../infrastructure/telemetry/logger.ts';
import { createTelemetry } from '../../infrastructure/telemetry/telemetry.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import type { CommandContext } from '../command.ts';
import { consoleDirectoryOf } from '../console-files.ts';
import { Children } from '../dev/children.ts';
import { projectDirectory } from '../project.ts';

/** What is watched. */
interface Watched {
  readonly context: CommandContext;
  readonly project: Project;
  readonly platform: Platform;
}

type Closing = () => Promise<unknown>;

/** Serves the HTTP API and the console from now on, at a free port, and says where: the story is told while it is watched. */
export async function serveConsole(
  stage: Watched,
  embedded: boolean,
  closing: Closing[],
): Promise<string | null> {
  const { context } = stage;
  const url = embedded ? await serveHere(stage, closing) : await serveBeside(stage, closing);
  if (url === null) return null;
  const pages = consoleDirectoryOf(context) === null ? null : `${url}/console/`;
  context.output.note(pages === null ? `HTTP API at ${url}` : `Watch it at ${pages}`);
  return pages ?? url;
}

/** In a process of its own, as the streams. */
async function serveBeside({ context, project }: Watched, closing: Closing[]): Promise<string | null> {
  const { environment, output, signal } = context;
  const children = new Children(
    environment,
    { directory: projectDirectory(context), prefix: project.prefix },
    (sentence) => output.warn(sentence),
  );
  closing.push(() => children.stop());
  const [ready] = await children.start([{ name: 'api', command: ['api', '--port', '0'] }], signal);
  return ready?.url ?? null;
}

/** In this process, where the servers' twins are. */
async function serveHere({ context, project, platform }: Watched, closing: Closing[]): Promise<string> {
  const { API_DEFAULTS, openApi } = await import('../serve-api.ts');
  const logger = createLogger({ process: 'api', level: 'warn', file: undefined });
  const telemetry = createTelemetry({ process: 'api', logger });
  const options = { ...API_DEFAULTS, host: '127.0.0.1', port: 0 };
  const api = await openApi(context, { project, platform, logger, telemetry }, options);
  closing.push(() => api.close());
  return api.url;
}
