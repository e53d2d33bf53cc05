import { join } from 'node:path';
import { Argument } from 'commander';
import { type OperationsServer, serveOperations } from '../../infrastructure/http/operations.ts';
import { createLogger } from '../../infrastructure/telemetry/logger.ts';
import { createTelemetry } from '../../infrastructure/telemetry/telemetry.ts';
import { sampleResources } from '../../monitoring/resources.ts';
import { composeStreams, STREAM_NAMES, type StreamDeps, type StreamName } from '../../platform/compose.ts';
import type { Platform } from '../../platform/platform.ts';
import type { Project } from '../../schemas/project.ts';
import type { OnForeign } from '../../streams/runtime/codecs.ts';
import type { Stream } from '../../streams/runtime/stream.ts';
import { runStreams, type StreamState, untilReady } from '../../streams/runtime/supervise.ts';
import type { Telemetry } from '../../streams/runtime/telemetry.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { wholeOption } from '../options.ts';
import { endWithParent } from '../parent.ts';
import { openPlatform, openProject } from '../project.ts';
import { codeVersion } from '../version.ts';

interface Options {
  readonly metricsPort?: number;
  readonly metricsHost: string;
  readonly apiHost: string;
  readonly apiPort: number;
  readonly log?: string;
}

export const registerRun: Register = (program, run) => {
  program
    .command('run')
    .addArgument(
      new Argument('[stream...]', 'which ones; default: all streams, without the HTTP API').choices([
        ...STREAM_NAMES,
        'api',
      ]),
    )
    .description('run streams until Ctrl-C; each may run alone, any number of times')
    .option('--metrics-port <port>', 'of /metrics and /health (default: a free one)', wholeOption(0))
    .option('--metrics-host <address>', 'where /metrics and /health listen', '127.0.0.1')
    .option(
      '--api-host <address>',
      'where the HTTP API listens; any but one of this machine needs keys',
      '127.0.0.1',
    )
    .option('--api-port <port>', 'port of the HTTP API; 0 = a free one', wholeOption(0), 8420)
    .option('--log <file>', 'where the log goes (default: .millrace/logs on a terminal, else standard error)')
    .addHelpText(
      'after',
      examples(
        ['millrace run', 'every stream in this process'],
        ['millrace run inference', 'one more process that scores'],
        ['millrace run ingest features --metrics-port 9400', 'two streams, metrics on a port you know'],
        ['millrace run --metrics-port 9400 --metrics-host 0.0.0.0', 'metrics for other machines too'],
      ),
    )
    .action(run(runCommand));
};

async function runCommand(
  context: CommandContext,
  names: Array<StreamName | 'api'>,
  options: Options,
): Promise<void> {
  const { environment, output } = context;
  const project = openProject(context);
  const chosen = names.length === 0 ? STREAM_NAMES : STREAM_NAMES.filter((name) => names.includes(name));
  const named = [...chosen, ...(names.includes('api') ? ['api'] : [])];
  const label = names.length === 0 ? 'run' : `run ${named.join(' ')}`;
  const file =
    options.log ??
    (environment.errorTerminal
      ? join(environment.dataDirectory, 'logs', `${label.replaceAll(' ', '-')}-${process.pid}.log`)
      : undefined);
  const logger = createLogger({ process: label, level: environment.debug ? 'debug' : 'info', file });
  const telemetry = createTelemetry({ process: label, logger });
  const signal = endWithParent(context.signal);

  const states = new Map<string, StreamState | 'starting'>(named.map((name) => [name, 'starting']));
  const platform = openPlatform(context, project, {
    logger,
    onForeign: foreignTo(telemetry),
    onStoreWait: (where, sentence) => telemetry.waiting('store', 'slot', where, sentence),
  });
  let server: OperationsServer | undefined;
  try {
    server = await serveOperations({
      port: options.metricsPort,
      host: options.metricsHost,
      metrics: () => telemetry.metrics(),
      health: () => ({
        healthy: [...states.values()].every((state) => state === 'running'),
        streams: Object.fromEntries(states),
        waits: telemetry.waits(),
        failures: telemetry.failures(),
      }),
    });
    const composed = await untilReady('run', platform.clock, telemetry, signal, async () =>
      composeStreams(
        {
          project,
          kafka: platform.kafka,
          store: platform.store,
          warehouse: platform.warehouse,
          artefacts: platform.artefacts,
          codecs: await platform.codecs(),
          clock: platform.clock,
          telemetry,
          ...(chosen.includes('pipelines')
            ? { pipelines: await pipelineParts(context, project, platform, telemetry) }
            : {}),
        },
        chosen,
      ),
    );
    if (composed === null) return;
    states.clear();
    const where = { metrics: `${server.url}/metrics`, health: `${server.url}/health`, log: file ?? null };
    if (output.isJson) output.json({ streams: named, prefix: project.prefix, ...where });
    else {
      output.note(`${named.join(', ')} of ${project.prefix} run; Ctrl-C drains and ends them`);
      output.note(`metrics ${where.metrics}${file === undefined ? '' : `  log ${file}`}`);
    }
    process.send?.({ ready: true, metrics: where.metrics });
    const ended = new AbortController();
    const sampling = sampleResources(
      {
        warehouse: platform.warehouse,
        prefix: project.prefix,
        process: `${label} ${process.pid}`,
        clock: platform.clock,
        telemetry,
      },
      AbortSignal.any([signal, ended.signal]),
    );
    try {
      const parts = { project, platform, logger, telemetry };
      const streams = names.includes('api')
        ? [...composed.streams, await openApi(context, parts, options)]
        : composed.streams;
      await runStreams(streams, signal, {
        clock: platform.clock,
        telemetry,
        onState: (name, state, reason) => {
          // The log has it too, but on a terminal that is a file.
          if (reason !== null && file !== undefined && states.get(name) !== state)
            output.warn(`${name} ${state === 'failed' ? 'has stopped' : 'begins again'}: ${reason}`);
          states.set(name, state);
        },
      });
    } finally {
      ended.abort();
      await sampling;
      await composed.close();
    }
  } catch (error) {
    logger.error({ error }, 'ended by an error');
    throw error;
  } finally {
    await server?.close();
    await platform.close();
  }
}

/** The HTTP API beside the streams; loaded where it is asked for, since it is as large as all of them. */
async function openApi(
  context: CommandContext,
  parts: Parameters<typeof import('../serve-api.ts').apiStream>[1],
  { apiHost: host, apiPort: port }: Options,
): Promise<Stream> {
  const { API_DEFAULTS, apiStream } = await import('../serve-api.ts');
  return apiStream(context, parts, { ...API_DEFAULTS, host, port });
}

/** Somebody else's record on one of our topics: passed over, counted and told. */
function foreignTo(telemetry: Telemetry): OnForeign {
  return (kind, detail) => {
    telemetry.refused('topics', 'foreign_record', 1);
    telemetry.note('topics', 'a record on one of our topics is none of ours and was passed over', {
      expected: kind,
      detail,
    });
  };
}

/** `cpu` steps are done by this same command line, in a process of their own. */
async function pipelineParts(
  context: CommandContext,
  project: Project,
  platform: Platform,
  telemetry: Telemetry,
): Promise<NonNullable<StreamDeps['pipelines']>> {
  const [{ openExecutor, stepTools }, { ownCommand }] = await Promise.all([
    import('../../platform/step-tools.ts'),
    import('../work-here.ts'),
  ]);
  const { packageDirectory, dataDirectory } = context.environment;
  const tools = stepTools(platform, project, {
    dataDirectory,
    codeVersion: codeVersion(packageDirectory),
    beside: true,
    onWarning: (sentence) => telemetry.note('pipelines', sentence),
  });
  const execute = openExecutor(tools, { command: ownCommand(context, project) });
  return { queue: platform.queue, execute };
}
