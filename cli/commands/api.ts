import { createLogger } from '../../infrastructure/telemetry/logger.ts';
import { createTelemetry } from '../../infrastructure/telemetry/telemetry.ts';
import { untilReady } from '../../streams/runtime/supervise.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { endWithParent } from '../parent.ts';
import { openPlatform, openProject } from '../project.ts';
import { type ApiOptions, addApiOptions, openApi, sayWhere } from '../serve-api.ts';

export const registerApi: Register = (program, run) => {
  addApiOptions(
    program
      .command('api')
      .description(
        'serve the HTTP API until Ctrl-C: events, features, predictions, and all that can be seen or changed',
      ),
  )
    .option('--log <file>', 'where the log goes (default: standard error)')
    .addHelpText(
      'after',
      examples(
        ['millrace api', 'for this machine alone, without keys'],
        ['millrace keys create shop --role producer', 'a key; with one, it asks for it'],
        ['millrace api --host 0.0.0.0', 'for others; needs a key'],
      ),
    )
    .action(run(serve));
};

async function serve(
  context: CommandContext,
  options: ApiOptions & { readonly log?: string },
): Promise<void> {
  const { environment, output } = context;
  const signal = endWithParent(context.signal);
  const project = openProject(context);
  const logger = createLogger({
    process: 'api',
    level: environment.debug ? 'debug' : 'info',
    file: options.log,
  });
  const telemetry = createTelemetry({ process: 'api', logger });
  const platform = openPlatform(context, project, {
    logger,
    onStoreWait: (where, sentence) => telemetry.waiting('store', 'slot', where, sentence),
  });
  try {
    const api = await untilReady('api', platform.clock, telemetry, signal, () =>
      openApi(context, { project, platform, logger, telemetry }, options),
    );
    if (api === null) return;
    if (output.isJson) output.json({ url: api.url, open: api.isOpen, prefix: project.prefix });
    else sayWhere(context, api);
    process.send?.({ ready: true, url: api.url });
    if (!signal.aborted)
      await new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
    await api.close();
  } finally {
    await platform.close();
  }
}
