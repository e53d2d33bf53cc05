import { Worker } from 'node:worker_threads';
import { localVariables } from '../../infrastructure/local/addresses.ts';
import { moduleUrl } from '../../infrastructure/module-url.ts';
import type { TrainProgress } from '../../pipelines/training/training.ts';
import type { Model } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { artefactDirectory } from '../project.ts';
import type { Stage } from './stage.ts';
import type { Learnt, Lesson } from './steps.ts';

export interface LearnQuestion {
  readonly directory: string;
  readonly prefix: string;
  readonly artefacts: string;
  readonly packageDirectory: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly learner: Pick<Model, 'sample' | 'trainer'>;
  readonly lesson: Lesson;
  /** Somebody waits for it: it does not give way. */
  readonly urgent: boolean;
}

export type LearnMessage =
  | { readonly kind: 'progress'; readonly done: TrainProgress }
  | { readonly kind: 'learnt'; readonly learnt: Learnt }
  | { readonly kind: 'failure'; readonly message: string };

export class LearningFailed extends MillraceError {
  readonly code = 'learning_failed';
  readonly retriable = false;
}

/** Trains on the servers, in a thread of its own; one that is not urgent gives way to the streams and to the replay. */
export function learnApart(
  { context, project, model }: Stage,
  lesson: Lesson,
  progress: (done: TrainProgress) => void,
  urgent = false,
): Promise<Learnt> {
  const { environment, signal } = context;
  const question: LearnQuestion = {
    directory: project.directory,
    prefix: project.prefix,
    artefacts: artefactDirectory(context),
    packageDirectory: environment.packageDirectory,
    variables: { ...localVariables(environment.stackDirectory), ...environment.variables },
    learner: { sample: model.sample, trainer: model.trainer },
    lesson,
    urgent,
  };
  const thread = new Worker(moduleUrl(import.meta.url, './learn-thread'), { workerData: question });
  const stop = () => void thread.terminate();
  signal.addEventListener('abort', stop, { once: true });
  return new Promise<Learnt>((resolve, reject) => {
    thread.on('message', (said: LearnMessage) => {
      if (said.kind === 'progress') progress(said.done);
      else if (said.kind === 'learnt') resolve(said.learnt);
      else reject(new LearningFailed(said.message));
    });
    thread.on('error', (cause) => reject(new LearningFailed(cause.message, { cause })));
    thread.on('exit', () => reject(new LearningFailed('The thread that trained ended without an answer.')));
  }).finally(() => signal.removeEventListener('abort', stop));
}
