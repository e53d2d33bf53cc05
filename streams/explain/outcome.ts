import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Model, Project } from '../../schemas/project.ts';
import { selectLabelled } from '../archive/labels.ts';

/** What came of a request: its label, and the event time at which it was known, epoch ms. */
export interface Outcome {
  readonly label: boolean;
  readonly at: number;
}

/** Later than any event: every label that has come counts. ClickHouse's times end in 2299. */
const EVER = Date.UTC(2290, 0, 1);

/** The label of one request by the same join as a data set's; null where none has come. */
export async function outcomeOf(
  deps: { readonly project: Project; readonly model: Model; readonly warehouse: Warehouse },
  { id, time }: { readonly id: string; readonly time: number },
): Promise<Outcome | null> {
  const range = { from: time, to: time + 1, asOf: EVER, sample: null, keysOf: id };
  const { ids, labels, labelTimes } = await selectLabelled(deps, range);
  const at = ids.indexOf(id);
  return at < 0 ? null : { label: labels[at] === 1, at: labelTimes[at] ?? Number.NaN };
}
