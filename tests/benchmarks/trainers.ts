/**
 * What the trainers cost on this machine, on rows made up here: `node tests/benchmarks/trainers.ts [rows]` prints JSON.
 * CPU seconds of one core, so that a busy machine says the same as an idle one.
 */
import { createRaw } from '../../models/body.ts';
import type { Dataset } from '../../models/dataset.ts';
import { createRandom } from '../../models/random.ts';
import type { Parameters } from '../../models/trainer.ts';
import { prepareTraining } from '../../models/trainers.ts';
import type { TrainerName } from '../../schemas/trainer.ts';

const FEATURES = 45;

/** Half of the features tell something, one in ten values is null. */
function madeUp(count: number): Dataset {
  const random = createRandom(1);
  const rows = new Float64Array(count * FEATURES);
  const labels = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    let logit = -1.5;
    for (let at = 0; at < FEATURES; at++) {
      const value = random.normal();
      const isNull = random.next() < 0.1;
      rows[row * FEATURES + at] = isNull ? Number.NaN : value;
      if (at % 2 === 0 && !isNull) logit += at % 4 === 0 ? 0.4 * value : 0.3 * Math.abs(value) - 0.25;
    }
    labels[row] = random.next() < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
  }
  return {
    names: Array.from({ length: FEATURES }, (_, at) => `f${at}`),
    rows,
    labels,
    times: Float64Array.from(labels, (_, row) => row * 1_000),
  };
}

const RUNS: ReadonlyArray<readonly [string, TrainerName, Parameters]> = [
  ['logistic regression, at most 30 steps', 'logistic', { epochs: 30, patience: 30 }],
  ['network 64-32, 3 epochs', 'dense', { epochs: 3, patience: 3 }],
  ['trees, 200 of 31 leaves', 'trees', { rounds: 200, patience: 200, leaves: 31 }],
  [
    'trees, 200 of 63 leaves on all rows and features',
    'trees',
    { rounds: 200, patience: 200, leaves: 63, rowShare: 1, featureShare: 1 },
  ],
];

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const data = madeUp(Number(process.argv[2] ?? 150_000));
const report: Record<string, unknown>[] = [];
for (const [what, trainer, parameters] of RUNS) {
  const before = cpuSeconds();
  const trained = await prepareTraining(trainer, parameters, data.names).run(data);
  const fit = cpuSeconds() - before;
  const raw = createRaw(trained.body);
  const scored = Math.min(20_000, data.labels.length);
  for (let row = 0; row < scored; row++) raw.logit(data.rows, row * FEATURES);
  const start = cpuSeconds();
  for (let row = 0; row < scored; row++) raw.logit(data.rows, row * FEATURES);
  const score = cpuSeconds() - start;
  report.push({
    what,
    rows: data.labels.length,
    features: FEATURES,
    fitCpuSeconds: Number(fit.toFixed(2)),
    scoreMicroseconds: Number(((score * 1e6) / scored).toFixed(2)),
    validationLogLoss: Number(trained.validation.logLoss.toFixed(4)),
  });
}
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
