/**
 * What a model must beat, fitted on the same rows as the model: the base rate alone, and the calendar alone (a table of
 * the rate by hour and day of week). A model that is no better than its calendar has learnt nothing from its events.
 */
export type Baseline =
  | { readonly kind: 'base-rate'; readonly rate: number }
  | { readonly kind: 'calendar'; readonly rate: number; readonly rates: readonly number[] };

const CALENDAR_CELLS = 24 * 7;

/** The share of positives, as a probability for everybody. */
export function fitBaseRate(labels: Uint8Array): Baseline {
  return { kind: 'base-rate', rate: rateOf(labels) };
}

function rateOf(labels: Uint8Array): number {
  if (labels.length === 0) throw new RangeError('A baseline cannot be fitted on no rows.');
  let positives = 0;
  for (const label of labels) positives += label;
  return positives / labels.length;
}

/**
 * The rate of each cell of the calendar, drawn towards the base rate as if `smoothing` rows of it had been seen in each
 * (the m-estimate: Cestnik, ECAI 1990), so that an hour with three rows claims little.
 *
 * @param cells one cell a row, see `calendarCell`; a row without one (-1) counts for the base rate alone.
 */
export function fitCalendar(cells: Int16Array, labels: Uint8Array, smoothing = 50): Baseline {
  if (cells.length !== labels.length) {
    throw new RangeError(`Every row needs a calendar cell: ${labels.length} rows, ${cells.length} cells.`);
  }
  const rate = rateOf(labels);
  const positives = new Float64Array(CALENDAR_CELLS);
  const rows = new Float64Array(CALENDAR_CELLS);
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i] as number;
    if (cell < 0) continue;
    positives[cell] = (positives[cell] as number) + (labels[i] as number);
    rows[cell] = (rows[cell] as number) + 1;
  }
  const rates = Array.from(
    positives,
    (sum, cell) => (sum + smoothing * rate) / ((rows[cell] as number) + smoothing),
  );
  return { kind: 'calendar', rate, rates };
}

/** @param cell the row's cell; the base rate does not ask for it. */
export function scoreBaseline(baseline: Baseline, cell: number): number {
  if (baseline.kind === 'base-rate' || cell < 0) return baseline.rate;
  return baseline.rates[cell] ?? baseline.rate;
}

/** The cell of an hour (0 to 24, a fraction is cut off) and a day of the week (0 to 6); -1 where one is null. */
export function calendarCell(hour: number, dayOfWeek: number): number {
  const h = Math.floor(hour);
  const d = Math.floor(dayOfWeek);
  return h >= 0 && h < 24 && d >= 0 && d < 7 ? d * 24 + h : -1;
}
