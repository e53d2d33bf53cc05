import type { Artefact, Manifest } from './artefact.ts';
import { type ModelBody, shapeOf } from './body.ts';

type Figures = NonNullable<Manifest['metrics']['validation']>;

const day = (time: number): string => new Date(time).toISOString().slice(0, 16).replace('T', ' ');
const fixed = (value: number | null): string => (value === null ? '-' : value.toFixed(4));

function row(name: string, figures: Figures | null): string {
  if (figures === null) return '';
  const { rows, baseRate, auc, logLoss, brier, calibrationError } = figures;
  const cells = [rows, fixed(baseRate), fixed(auc), fixed(logLoss), fixed(brier), fixed(calibrationError)];
  return `| ${name} | ${cells.join(' | ')} |\n`;
}

/**
 * The model card (Mitchell and others, FAT* 2019) of an artefact as Markdown: written from the artefact alone, so that
 * it cannot say anything else than the model's own data.
 */
export function modelCard(artefact: Artefact, address: string): string {
  const { manifest, body, calibration } = artefact;
  const { dataset, trainer, metrics } = manifest;
  const data =
    dataset === null
      ? 'not known: the model was trained elsewhere and imported'
      : `${dataset.rows} rows from ${day(dataset.from)} to ${day(dataset.to)} UTC (${dataset.loggedRows} logged, ${dataset.backfilledRows} backfilled), hash \`${dataset.hash}\``;
  // An imported model is as of nothing: no event time made it.
  const asOf = dataset === null ? '' : `, as of ${day(manifest.asOf)} UTC`;
  const features = manifest.features.map((name, at) => {
    const share = `${((manifest.importance[at] ?? 0) * 100).toFixed(1)} %`;
    return `| ${name} | ${share} | ${nullOf(body, at)} |\n`;
  });
  return `# Model ${manifest.model}

Address \`${address}\`.

${manifest.card.purpose}

**Limits.** ${manifest.card.limits}

## How it was made
* Data: ${data}.
* Trainer: ${trainer.name} on ${trainer.backend}, ${shapeOf(body)}, best epoch ${trainer.bestEpoch} of ${trainer.epochs}, calibration ${calibration.kind}.
* Code ${manifest.codeVersion}, declarations \`${manifest.createdFrom}\`${asOf}.
* Decision: true where the score is at least ${manifest.threshold}.

## How good it is
| rows of | rows | base rate | AUC | log loss | Brier | calibration error |
|---|---|---|---|---|---|---|
${row('test', metrics.test)}${row('validation (chose the epoch)', metrics.validation)}${row('base rate alone', metrics.baseRate)}${row('calendar alone', metrics.calendar)}
## What it reads
Layout \`${manifest.layoutHash}\`. Importance is the share of a feature in how far the scores move when it does.

| feature | importance | a null |
|---|---|---|
${features.join('')}`;
}

function nullOf(body: ModelBody, feature: number): string {
  if (body.kind === 'trees') return 'goes the way that each question says';
  const { nulls, missing } = body.encoder.features[feature] ?? { nulls: 'centre', missing: false };
  const becomes = nulls === 'centre' ? 'counts as the centre' : `counts as ${nulls.value}`;
  return missing ? `${becomes}, and is flagged` : becomes;
}
