import type { Artefact, Manifest } from './artefact.ts';

type Figures = Manifest['metrics']['validation'];

const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace('T', ' ');
const fixed = (value: number | null): string => (value === null ? '-' : value.toFixed(4));

function row(name: string, figures: Figures | null): string {
  if (figures === null) return '';
  const { rows, baseRate, auc, logLoss, brier, calibrationError } = figures;
  const cells = [rows, fixed(baseRate), fixed(auc), fixed(logLoss), fixed(brier), fixed(calibrationError)];
  return `| ${name} | ${cells.join(' | ')} |\n`;
}

/**
 * The model card (Mitchell and others, FAT* 2019) of an artefact as Markdown: written from the manifest alone, so that
 * it cannot say anything else than the model's own data.
 */
export function modelCard(artefact: Artefact, address: string): string {
  const { manifest, encoder, layers, calibration } = artefact;
  const { dataset, trainer, metrics } = manifest;
  const nulls = encoder.features.map(({ name, nulls: rule, missing }) => {
    const filled = rule === 'centre' ? 'centre' : String(rule.value);
    return `| ${name} | ${filled} | ${missing ? 'yes' : 'no'} |\n`;
  });
  const shape = [layers[0]?.inputs ?? 0, ...layers.map((layer) => layer.units)].join('-');
  return `# Model ${manifest.model}

Address \`${address}\`.

${manifest.card.purpose}

**Limits.** ${manifest.card.limits}

## How it was made
* Data: ${dataset.rows} rows from ${day(dataset.from)} to ${day(dataset.to)} UTC (${dataset.loggedRows} logged, ${dataset.backfilledRows} backfilled), hash \`${dataset.hash}\`.
* Trainer: ${trainer.name} on ${trainer.backend}, network ${shape}, best epoch ${trainer.bestEpoch} of ${trainer.epochs}, calibration ${calibration.kind}.
* Code ${manifest.codeVersion}, declarations \`${manifest.createdFrom}\`, as of ${day(manifest.asOf)} UTC.
* Decision: true where the score is at least ${manifest.threshold}.

## How good it is
| rows of | rows | base rate | AUC | log loss | Brier | calibration error |
|---|---|---|---|---|---|---|
${row('test', metrics.test)}${row('validation (chose the epoch)', metrics.validation)}${row('base rate alone', metrics.baseRate)}${row('calendar alone', metrics.calendar)}
## What it reads
Layout \`${manifest.layoutHash}\`. A null is encoded at the feature's centre or replaced by a value.

| feature | null becomes | has a missing flag |
|---|---|---|
${nulls.join('')}`;
}
