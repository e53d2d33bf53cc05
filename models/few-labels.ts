/** At half positives, an AUC of this many rows has a standard error of 0.06. */
const ENOUGH = 100;

/** For a person; null where the validation has rows enough. `rows`: all labels that were trained with. */
export function fewLabelsSentence(rows: number, validationRows: number): string | null {
  if (validationRows >= ENOUGH) return null;
  const judges = validationRows === 1 ? '1 row judges' : `${validationRows} rows judge`;
  return `Only ${judges} this version, of ${rows} with a label: its figures may be chance. Train again when there are more (${ENOUGH} that judge, at least).`;
}
