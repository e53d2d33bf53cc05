import { WarehouseError } from '../../infrastructure/clickhouse/errors.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tickAfter } from '../../schemas/monitoring.ts';
import { tables } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { LoopLimit } from './ticks.ts';

/**
 * Lets a replay go no further than the first tick that monitoring, and the pipelines it started, have not
 * finished. So a replay of the past meets the models that the past would have had.
 *
 * Once ClickHouse has answered, a moment without it holds the replay as a tick that is not finished does.
 */
export function createLoopLimit({
  warehouse,
  project,
  onAway = () => {},
}: {
  readonly warehouse: Warehouse;
  readonly project: Project;
  /** Hears, once each time, that ClickHouse is away and the replay waits for it. */
  readonly onAway?: (error: WarehouseError) => void;
}): LoopLimit {
  let state: 'unknown' | 'answering' | 'away' = 'unknown';
  return {
    async next(from) {
      try {
        const [row] = await warehouse.query<{ rows: number; last: number }>(
          `SELECT count() AS rows, max(toUnixTimestamp64Milli(tick)) AS last
           FROM ${quoteName(tables.ticks(project.prefix))} FINAL
           WHERE state = 'finished' AND tick > fromUnixTimestamp64Milli({from:Int64})`,
          { from },
        );
        state = 'answering';
        return tickAfter(project, row === undefined || row.rows === 0 ? from : row.last);
      } catch (error) {
        if (!(error instanceof WarehouseError) || !error.retriable || state === 'unknown') throw error;
        if (state === 'answering') onAway(error);
        state = 'away';
        return tickAfter(project, from);
      }
    },
  };
}
