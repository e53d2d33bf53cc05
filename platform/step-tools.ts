import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createShelf } from '../infrastructure/artefacts/shelf.ts';
import { createModelRegistry, type ModelRegistry } from '../infrastructure/registry/models.ts';
import type { StepExecutor } from '../pipelines/runs/work.ts';
import { type ChildOptions, createChildExecutor } from '../pipelines/steps/child.ts';
import { createStepExecutor } from '../pipelines/steps/execute.ts';
import type { StepTools } from '../pipelines/steps/tools.ts';
import { fitApart } from '../pipelines/training/fit-apart.ts';
import { openMirror } from '../pipelines/training/runs-mirror.ts';
import type { Project } from '../schemas/project.ts';
import type { Platform } from './platform.ts';

export interface StepSettings {
  /** Data sets lie there. */
  readonly dataDirectory: string;
  readonly codeVersion: string;
  /** The process does other work too: a training gets a thread of its own, which gives way. */
  readonly beside?: boolean;
  /** Hears of what the mirror of runs could not deliver. */
  readonly onWarning?: (sentence: string) => void;
}

export function stepTools(platform: Platform, project: Project, settings: StepSettings): StepTools {
  // One for all steps: what a test has judged of closed days is remembered by it.
  let registry: ModelRegistry | undefined;
  return {
    project,
    get warehouse() {
      return platform.warehouse;
    },
    artefacts: platform.artefacts,
    dataSets: createShelf(join(settings.dataDirectory, 'datasets')),
    registry: async () => {
      registry ??= createModelRegistry({
        kafka: platform.kafka,
        codec: (await platform.codecs()).models,
        prefix: project.prefix,
        now: platform.clock.now,
      });
      return registry;
    },
    codeVersion: settings.codeVersion,
    now: platform.clock.now,
    tuningWorkers: Math.max(1, Math.min(4, availableParallelism() - 1)),
    mirror: openMirror(project, settings.onWarning),
    ...(settings.beside === true ? { trial: fitApart } : {}),
  };
}

/**
 * `light` steps in this process, `cpu` steps in one of their own; on the twins, which no other process can
 * reach, all in this one.
 */
export function openExecutor(tools: StepTools, child: ChildOptions | null): StepExecutor {
  const here = createStepExecutor(tools);
  if (child === null) return here;
  const apart = createChildExecutor(child);
  return (call, signal) => (call.step.step.resources === 'cpu' ? apart(call, signal) : here(call, signal));
}
