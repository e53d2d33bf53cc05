import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { readEvents } from '../../infrastructure/clickhouse/read-events.ts';
import { boundSlices } from '../../models/quality/slices.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { DataSet } from '../training/dataset.ts';

/** By name of the slicing, the slice of each row of a data set; null for none. */
export async function slicesOf(
  deps: { readonly project: Project; readonly model: Model; readonly warehouse: Warehouse },
  { ids, from, to }: Pick<DataSet, 'ids' | 'from' | 'to'>,
): Promise<Record<string, Array<string | null>>> {
  const { project, model, warehouse } = deps;
  const { slices } = model.monitoring;
  const found = Object.fromEntries(
    slices.map(({ name }) => [name, new Array<string | null>(ids.length).fill(null)]),
  );
  const source = project.sources.find(({ name }) => name === model.request.source);
  if (slices.length === 0 || ids.length === 0 || source === undefined) return found;
  const place = new Map(ids.map((id, row) => [id, row]));
  for await (const { events } of readEvents(warehouse, project, source, {
    from,
    to,
    types: [model.request.eventType],
  }))
    for (const event of events) {
      const row = place.get(event.id);
      if (row === undefined) continue;
      for (const { name, evaluate } of slices) {
        const of = found[name];
        if (of !== undefined) of[row] = evaluate(event);
      }
    }
  for (const { name, atMost } of slices) {
    const of = found[name] ?? [];
    const bounded = boundSlices(of, atMost);
    found[name] = of.map((value) => (value === null ? null : bounded.of(value)));
  }
  return found;
}
