import { Option } from 'commander';
import { subscribeAlerts } from '../../client/alerts.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import type { Platform } from '../../platform/platform.ts';
import { ALERT_STATES, type Alert } from '../../schemas/records/alert.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { duration, instant, padEnd } from '../format.ts';
import { instantOption, wholeOption } from '../options.ts';
import type { Colours } from '../output.ts';
import { openPlatform, openProject } from '../project.ts';
import { registerDeliveries } from './alerts-deliveries.ts';
import { registerSilences } from './alerts-silences.ts';

interface ListOptions {
  readonly state?: Alert['state'];
  readonly rule?: string;
  readonly since?: number;
}

interface TailOptions {
  readonly fromStart?: boolean;
  readonly limit?: number;
}

export const registerAlerts: Register = (program, run) => {
  const group = program
    .command('alerts')
    .description('what fires, what fired, and who is told')
    .addHelpText(
      'after',
      examples(
        ['millrace alerts ls', 'what is wrong now, and what was'],
        ['millrace alerts tail', 'changes as they come'],
        ["millrace alerts silence --rule drifted --for 2h --reason 'known storm'", 'nobody is told'],
      ),
    );
  group
    .command('ls')
    .description('alerts as they stand, those that fire first')
    .addOption(new Option('--state <state>', 'only these').choices(ALERT_STATES))
    .option('--rule <name>', 'only of this rule')
    .option('--since <time>', 'only those that changed at or after this event time', instantOption)
    .addHelpText(
      'after',
      examples(
        ['millrace alerts ls', 'all'],
        ['millrace alerts ls --state firing', 'what is wrong now'],
        ['millrace alerts ls --rule drifted --since 2001-04-01', 'what drifted since'],
      ),
    )
    .action(run(list));
  group
    .command('show')
    .argument('<fingerprint>', 'or its first letters')
    .description('every change of one alert')
    .addHelpText('after', examples(['millrace alerts show 3fa9', 'its history']))
    .action(run(show));
  group
    .command('tail')
    .description('changes as they come, until Ctrl-C')
    .option('--from-start', 'begin with the first that was ever made')
    .option('--limit <n>', 'end after so many', wholeOption(1))
    .addHelpText(
      'after',
      examples(
        ['millrace alerts tail', 'from now on'],
        ['millrace alerts tail --from-start --json | jq .summary', 'all, one JSON object a line'],
      ),
    )
    .action(run(tail));
  registerSilences(group, run);
  registerDeliveries(group, run);
};

async function read(context: CommandContext): Promise<readonly Alert[]> {
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    return await changesOf(platform, project.prefix);
  } finally {
    await platform.close();
  }
}

async function changesOf(platform: Platform, prefix: string): Promise<readonly Alert[]> {
  const { alerts: codec } = await platform.codecs();
  const log = new AlertLog({ kafka: platform.kafka, codec, prefix });
  await log.catchUp();
  await log.close();
  return log.changes();
}

const RANK: Readonly<Record<Alert['state'], number>> = { firing: 0, pending: 1, resolved: 2 };

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const { output } = context;
  const latest = new Map<string, Alert>();
  for (const alert of await read(context)) latest.set(alert.fingerprint, alert);
  const alerts = [...latest.values()]
    .filter(
      ({ state, rule, tick }) =>
        (options.state ?? state) === state &&
        (options.rule ?? rule) === rule &&
        tick >= (options.since ?? Number.NEGATIVE_INFINITY),
    )
    .sort(
      (a, b) => RANK[a.state] - RANK[b.state] || b.tick - a.tick || (a.fingerprint < b.fingerprint ? -1 : 1),
    );
  if (output.isJson) return output.json(alerts.map(withTimes));
  if (alerts.length === 0)
    return output.line(latest.size === 0 ? 'Nothing has fired yet.' : 'There is none.');
  output.table(
    [
      { title: 'fingerprint' },
      { title: 'state' },
      { title: 'severity' },
      { title: 'rule' },
      { title: 'since' },
      { title: 'changed' },
      { title: 'summary' },
    ],
    alerts.map((alert) => [
      alert.fingerprint,
      painted(alert.state, output.colours),
      alert.severity,
      alert.rule,
      instant(alert.startedAt),
      instant(alert.tick),
      alert.summary,
    ]),
  );
}

async function show(context: CommandContext, start: string): Promise<void> {
  const { output } = context;
  const changes = (await read(context)).filter(({ fingerprint }) => fingerprint.startsWith(start));
  const [first, ...others] = [...new Set(changes.map(({ fingerprint }) => fingerprint))];
  if (first === undefined)
    throw new UsageError(
      `No alert has a fingerprint that begins with '${start}': millrace alerts ls names them.`,
    );
  if (others.length > 0)
    throw new UsageError(`Several fingerprints begin with '${start}': ${[first, ...others].join(', ')}.`);
  if (output.isJson) return output.json(changes.map(withTimes));
  const { bold, dim } = output.colours;
  const [alert] = changes;
  if (alert !== undefined) {
    const of = [alert.model, alert.subject, alert.slice].filter((text) => text !== '').join(', ');
    output.line(`${bold(alert.rule)}${of === '' ? '' : ` of ${of}`}  ${dim(first)}`);
  }
  output.table(
    [
      { title: 'change', align: 'right' },
      { title: 'state' },
      { title: 'at' },
      { title: 'held since' },
      { title: 'held until' },
      { title: 'version', align: 'right' },
      { title: 'summary' },
    ],
    changes.map((change) => [
      String(change.change),
      painted(change.state, output.colours),
      instant(change.tick),
      instant(change.startedAt),
      change.endedAt === null ? '' : instant(change.endedAt),
      change.version === 0 ? '' : String(change.version),
      change.summary,
    ]),
  );
}

async function tail(context: CommandContext, options: TailOptions): Promise<void> {
  const { output, signal } = context;
  const project = openProject(context);
  const platform = openPlatform(context, project);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  try {
    const ended = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => ended.resolve(), { once: true });
    const subscription = await subscribeAlerts(
      {
        project,
        from: options.fromStart ? 'earliest' : 'latest',
        ports: { kafka: platform.kafka, registry: platform.registry },
        onTrouble: (error) => output.warn(error.message),
      },
      (alerts) => {
        for (const alert of alerts) {
          if (left <= 0) break;
          left -= 1;
          if (output.isJson) process.stdout.write(`${JSON.stringify(withTimes(alert))}\n`);
          else output.line(lineOf(alert, output.colours));
        }
        if (left <= 0) ended.resolve();
      },
    );
    if (!output.isJson) output.note(`alerts of ${project.prefix}; Ctrl-C ends`);
    await Promise.race([ended.promise, subscription.done]);
    await subscription.close();
  } finally {
    await platform.close();
  }
}

/** One line a change: when, what it became, how bad, and the sentence. */
export function lineOf(alert: Alert, colours: Colours): string {
  const { dim, bold } = colours;
  const held = alert.endedAt === null ? '' : `, held for ${duration(alert.endedAt - alert.startedAt)}`;
  const state = padEnd(painted(alert.state, colours), 8);
  return `${instant(alert.tick)}  ${state}  ${padEnd(alert.severity, 7)}  ${bold(alert.rule)}  ${alert.summary}  ${dim(`${alert.fingerprint}${held}`)}`;
}

function painted(state: Alert['state'], { red, yellow, green }: Colours): string {
  return (state === 'firing' ? red : state === 'pending' ? yellow : green)(state);
}

const isoOrNull = (time: number | null) => (time === null ? null : new Date(time).toISOString());

/** As the webhooks get it: times as a person reads them. */
const withTimes = (alert: Alert) => ({
  ...alert,
  tick: isoOrNull(alert.tick),
  startedAt: isoOrNull(alert.startedAt),
  firedAt: isoOrNull(alert.firedAt),
  endedAt: isoOrNull(alert.endedAt),
  at: isoOrNull(alert.at),
});
