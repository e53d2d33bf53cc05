import { createPipelines } from '../pipelines/pipelines.ts';
import type { RunLog } from '../pipelines/runs/log.ts';
import type { StepExecutor } from '../pipelines/runs/work.ts';
import type { Platform } from '../platform/platform.ts';
import type { Project } from '../schemas/project.ts';
import { SILENT } from '../streams/runtime/telemetry.ts';
import type { CommandContext } from './command.ts';

/** This command line, of this project: what a step's own process is started with. */
export function ownCommand(
  { environment }: Pick<CommandContext, 'environment'>,
  { directory, prefix }: Pick<Project, 'directory' | 'prefix'>,
): readonly string[] {
  return [process.execPath, environment.program, '--project', directory, '--prefix', prefix];
}

/** A worker in this process, until `end`. */
export function workHere(
  { project, platform }: { readonly project: Project; readonly platform: Platform; readonly log: RunLog },
  execute: StepExecutor,
  signal: AbortSignal,
): { end(): Promise<void> } {
  const ending = new AbortController();
  const running = (async () => {
    const { warehouse, kafka, queue, clock } = platform;
    const codecs = await platform.codecs();
    const deps = { project, warehouse, kafka, codecs, queue, clock, execute, telemetry: SILENT };
    await createPipelines(deps).run(AbortSignal.any([signal, ending.signal]));
  })();
  // Its failure is thrown by `end`.
  running.catch(() => undefined);
  return {
    async end() {
      ending.abort();
      await running;
    },
  };
}
