import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { tables } from '../../schemas/names.ts';
import { iso } from '../../streams/runtime/iso.ts';
import type { PipelineRun } from './run.ts';

const isoOrNull = (time: number | null) => (time === null ? null : iso(time));

/** A run and its steps as rows: of rows with the same key the newest `at` counts, so writing twice is harmless. */
export async function writeRun(
  warehouse: Pick<Warehouse, 'insert'>,
  prefix: string,
  run: PipelineRun,
): Promise<void> {
  const at = iso(run.at);
  const { id, pipeline, model, cause, state } = run;
  const token = `${id}:${run.createdAt}:${run.revision}`;
  const steps = run.steps.map((record) => ({
    run: id,
    step: record.step.name,
    attempt: record.attempt,
    state: record.state,
    started_at: isoOrNull(record.startedAt),
    finished_at: isoOrNull(record.finishedAt),
    worker: record.worker,
    result: JSON.stringify(record.result),
    error: record.error,
    at,
  }));
  await warehouse.insert(tables.pipelineSteps(prefix), steps, { token });
  const notes = run.steps.flatMap(({ step, attempt, note, notedAt = null }) =>
    notedAt === null || note === '' ? [] : [{ run: id, step: step.name, attempt, at: iso(notedAt), note }],
  );
  if (notes.length > 0) await warehouse.insert(tables.pipelineNotes(prefix), notes, { token });
  const detail = JSON.stringify({
    effectiveFrom: iso(run.effectiveFrom),
    tick: isoOrNull(run.tick),
    notes: Object.fromEntries(
      run.steps.flatMap(({ step, note }) => (note === '' ? [] : [[step.name, note]])),
    ),
  });
  const row = { id, pipeline, model, event_time: iso(run.eventTime), cause, state, detail, at };
  await warehouse.insert(tables.pipelineRuns(prefix), [row], { token });
}
