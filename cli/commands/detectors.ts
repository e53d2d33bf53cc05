import { scoreDetectors } from '../../models/detectors/score.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { count } from '../format.ts';
import { wholeOption } from '../options.ts';

interface Options {
  readonly series: number;
  readonly seed: number;
}

export const registerDetectors: Register = (program, run) => {
  const detectors = program.command('detectors').description('the streaming detectors of change');
  detectors
    .command('score')
    .description('how soon each sees a change, and how often one that is not there, on seeded series')
    .option('--series <n>', 'series of each kind', wholeOption(1), 100)
    .option('--seed <n>', 'of the series', wholeOption(0), 1)
    .addHelpText(
      'after',
      examples(
        ['millrace detectors score', 'the table of delays and false alarms'],
        ['millrace detectors score --series 1000 --json', 'more exact, for programs'],
      ),
    )
    .action(run(score));
};

async function score({ output, signal }: CommandContext, { series, seed }: Options): Promise<void> {
  const progress = output.progress('series', { unit: 'series' });
  const scores = scoreDetectors({
    series,
    seed,
    progress: (done, of) => {
      signal.throwIfAborted();
      progress.total(of);
      progress.update(done);
    },
  });
  progress.done();
  if (output.isJson) return output.json({ seed, series, scores });
  const number = (value: number | null) => (value === null ? '-' : count(value));
  const right = (title: string) => ({ title, align: 'right' as const });
  output.table(
    [
      { title: 'detector' },
      { title: 'values' },
      { title: 'change' },
      right('found'),
      right('median delay'),
      right('9 of 10 by'),
      right('false per 10,000'),
    ],
    scores.map(({ detector, noise, change, found, medianDelay, slowDelay, falseAlarms }) => [
      detector,
      noise,
      change,
      found === null ? '-' : `${count(found)}/${count(series)}`,
      number(medianDelay),
      number(slowDelay),
      falseAlarms.toFixed(2),
    ]),
  );
  output.note(
    'Delays in values after the change (bernoulli: an error rate from 15 to 30 %; gaussian: half a deviation); gradual ones take 2,000 values.',
  );
}
