import { createMlflow, type Mlflow } from '../../infrastructure/mlflow/client.ts';
import type { Project } from '../../schemas/project.ts';
import type { Run, RunMirror } from './runs.ts';

/** The tracking server of a project; null where it names none. */
export function openMirror(
  { connections, prefix }: Pick<Project, 'connections' | 'prefix'>,
  onWarning: (sentence: string) => void = () => {},
): RunMirror | null {
  const { mlflow } = connections;
  if (mlflow === null) return null;
  let client: Mlflow | undefined;
  return {
    async mirror(run: Run) {
      try {
        client ??= createMlflow(mlflow);
        await client.log({
          experiment: `${prefix}/${run.subject}`,
          name: run.id,
          key: run.id,
          startedAt: run.startedAt,
          finishedAt: run.finishedAt,
          state: run.state ?? 'done',
          parameters: {
            ...run.parameters,
            ...(run.dataset === undefined ? {} : { 'dataset.sha256': run.dataset }),
          },
          metrics: (run.metrics ?? []).map(({ metric, slice, step, value }) => ({
            name: slice === '' ? metric : `${metric}/${slice}`,
            step,
            value,
          })),
          tags: {
            'millrace.kind': run.kind,
            'millrace.run': run.id,
            ...(run.parent === undefined || run.parent === '' ? {} : { 'millrace.parent': run.parent }),
            ...(run.artefact === undefined ? {} : { 'millrace.artefact': run.artefact }),
            ...(run.codeVersion === undefined ? {} : { 'millrace.code': run.codeVersion }),
            'millrace.environment': JSON.stringify(run.environment ?? {}),
            'millrace.resources': JSON.stringify(run.resources ?? {}),
          },
          note: JSON.stringify(run.detail, null, 2),
        });
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        onWarning(`Run ${run.id} is not in MLflow: ${why} It is in ClickHouse.`);
      }
    },
  };
}
