import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Project, Source } from '../../schemas/project.ts';

/** Whose events are measured, and where they lie. */
export interface DataDeps {
  readonly project: Pick<Project, 'prefix'>;
  readonly source: Source;
  readonly warehouse: Pick<Warehouse, 'query'>;
}

/** Event times, epoch ms: from <= time < to, measured at `tick`. */
export interface DataWindow {
  readonly from: number;
  readonly to: number;
  readonly tick: number;
}
