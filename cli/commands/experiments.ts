import { setImmediate as breathe } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { ShadowRules } from '../../models/rollout/sequential.ts';
import {
  type Experiment,
  mostByChance,
  noiseOfGain,
  type Outcomes,
  outcomesOf,
  simulateShadow,
  type World,
} from '../../models/rollout/simulation.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult } from '../errors.ts';
import { count, duration, percent } from '../format.ts';
import { wholeOption } from '../options.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Options {
  readonly experiments: number;
  readonly seed: number;
  readonly alpha: number;
  readonly minGain: number;
  readonly days: number;
  readonly requestsPerDay: number;
  readonly blockHours: number;
  readonly dayBias: number;
}

/** What the shadow test keeps of its promises, in worlds whose truth is known. */
export const registerExperiments: Register = (program, run) => {
  const experiments = program
    .command('experiments')
    .description('simulated shadows: how often the test is wrong, and how soon it sees a difference');
  withOptions(experiments.command('aa'), { experiments: 200, days: 30 })
    .description('shadows in which neither version is better; exit code 1 if too many are promoted')
    .addHelpText(
      'after',
      examples(
        ['millrace experiments aa', '200 shadows of 30 days, looked at after each day'],
        [
          'millrace experiments aa --block-hours 1',
          'what blocks do that are shorter than what errs together',
        ],
      ),
    )
    .action(run(aa));
  withOptions(experiments.command('power'), { experiments: 100, days: 90 })
    .description('shadows of a better version: how many requests until the difference is seen')
    .option('--gain <nats>', 'true gain in mean log loss', positiveOption, 0.005)
    .addHelpText(
      'after',
      examples(
        ['millrace experiments power', 'a gain of .005 log loss'],
        ['millrace experiments power --gain 0.01 --json', 'twice as much, for programs'],
      ),
    )
    .action(run(power));
};

function withOptions(
  command: Command,
  defaults: { readonly experiments: number; readonly days: number },
): Command {
  return command
    .option('--experiments <n>', 'simulated shadows', wholeOption(1), defaults.experiments)
    .option('--seed <n>', 'of all chance in them', wholeOption(0), 1)
    .option('--alpha <share>', 'declared chance of a wrong promotion', shareOption, 0.05)
    .option('--min-gain <nats>', 'gain below which a promotion is not worth it', amountOption, 0)
    .option('--days <n>', 'longest shadow', wholeOption(1), defaults.days)
    .option('--requests-per-day <n>', 'with a label', wholeOption(1), 3_000)
    .option('--block-hours <n>', 'length of what counts as one observation', positiveOption, 24)
    .option('--day-bias <logits>', "spread of each version's own bias of a day", amountOption, 0.1);
}

async function aa(context: CommandContext, options: Options): Promise<void> {
  const { output } = context;
  const outcomes = await simulate(context, options, 0);
  const allowed = mostByChance(options.experiments, options.alpha);
  const kept = outcomes.promoted <= allowed;
  if (output.isJson) output.json({ ...options, ...outcomes, allowed, kept });
  else {
    table(context, outcomes);
    const { green, red } = output.colours;
    output.line(
      `${kept ? green('✓') : red('✗')} ${outcomes.promoted} wrong promotions of ${count(outcomes.experiments)} (${percent(outcomes.promoted / outcomes.experiments)}); at a declared ${percent(options.alpha)} more than ${allowed} would be no chance`,
    );
  }
  if (!kept) throw new FailedResult();
}

async function power(context: CommandContext, options: Options & { readonly gain: number }): Promise<void> {
  const { output } = context;
  const outcomes = await simulate(context, options, options.gain);
  if (output.isJson) return output.json({ ...options, ...outcomes });
  table(context, outcomes);
  const { requests, days } = outcomes;
  output.line(
    requests === null || days === null
      ? `a gain of ${options.gain} log loss was never seen within ${options.days} days of ${count(options.requestsPerDay)} requests`
      : `a gain of ${options.gain} log loss was seen in ${percent(outcomes.promoted / outcomes.experiments, 0)} of shadows, after ${count(requests.median)} requests (${tenth(days.median)} days) in half of these, after ${count(requests.p90)} (${tenth(days.p90)} days) in nine of ten`,
  );
}

async function simulate(context: CommandContext, options: Options, gain: number): Promise<Outcomes> {
  const { output, signal } = context;
  const world: World = {
    days: options.days,
    requestsPerDay: options.requestsPerDay,
    gain,
    dayBias: options.dayBias,
  };
  const rules: ShadowRules = {
    alpha: options.alpha,
    minGain: options.minGain,
    block: options.blockHours * HOUR_MS,
    maxDuration: options.days * DAY_MS,
  };
  const progress = output.progress('simulating', { total: options.experiments, unit: 'shadows' });
  const done: Experiment[] = [];
  try {
    const noise = noiseOfGain(gain);
    for (let at = 0; at < options.experiments; at++) {
      done.push(simulateShadow(world, rules, noise, options.seed * 1_000_003 + at));
      progress.update(done.length);
      await breathe();
      signal.throwIfAborted();
    }
  } catch (error) {
    progress.fail();
    throw error;
  }
  progress.done(
    `${count(done.length)} shadows of ${options.days} days with ${count(options.requestsPerDay)} requests, blocks of ${duration(rules.block)}, alpha ${options.alpha}`,
  );
  return outcomesOf(done);
}

function table({ output }: CommandContext, outcomes: Outcomes): void {
  const share = (part: number): string => percent(part / outcomes.experiments);
  output.table(
    [{ title: 'decided' }, { title: 'shadows', align: 'right' }, { title: 'share', align: 'right' }],
    (
      [
        ['promoted', outcomes.promoted],
        ['refused as worse', outcomes.worse],
        ['refused, gain too small', outcomes.tooSmall],
        ['no difference shown in time', outcomes.timeLimit],
      ] as const
    ).map(([name, part]) => [name, count(part), share(part)]),
  );
}

const tenth = (value: number): string => String(Number(value.toFixed(1)));

function shareOption(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1))
    throw new InvalidArgumentError('Write a share between 0 and 1, 0.05 for instance.');
  return value;
}

function positiveOption(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('Write a number above 0.');
  return value;
}

function amountOption(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && Number.isFinite(value))) throw new InvalidArgumentError('Write a number from 0 on.');
  return value;
}
