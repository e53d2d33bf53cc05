import { Worker } from 'node:worker_threads';
import { moduleUrl } from '../../infrastructure/module-url.ts';
import { CannotLearn } from '../../models/cannot-learn.ts';
import type { Engine, EpochReport, Parameters } from '../../models/trainer.ts';
import type { Model } from '../../schemas/project.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import type { DataSet } from './dataset.ts';
import type { FitTrial, Trial } from './fit.ts';

/** What a thread that trains is begun with; the rows are copied. */
export interface FitQuestion {
  readonly features: readonly string[];
  readonly trainer: Model['trainer'];
  readonly training: Pick<DataSet, 'rows' | 'labels' | 'times'>;
  readonly parameters: Parameters;
  readonly share: number;
}

/** What it says. */
export type FitMessage =
  | { readonly kind: 'backend'; readonly backend: Engine }
  | { readonly kind: 'epoch'; readonly report: EpochReport; readonly of: number }
  | { readonly kind: 'trial'; readonly trial: Trial }
  | { readonly kind: 'failure'; readonly cannotLearn: boolean; readonly message: string };

/** A thread that trained broke; the sentence is its own. */
export class TrainingBroke extends MillraceError {
  readonly code = 'training_broke';
  readonly retriable = true;
}

/**
 * `fitTrial` in a thread of its own that gives way to all others: a process that runs streams, or answers requests, trains without
 * holding them up. The same rows and parameters give the same bits.
 */
export const fitApart: FitTrial = (
  { features, trainer },
  training,
  parameters = {},
  share = 1,
  options = {},
) =>
  new Promise<Trial>((resolve, reject) => {
    const { signal, onBackend, onEpoch } = options;
    signal?.throwIfAborted();
    const { rows, labels, times } = training;
    const question: FitQuestion = {
      features: features.map(({ name }) => name),
      trainer,
      training: { rows, labels, times },
      parameters,
      share,
    };
    const thread = new Worker(moduleUrl(import.meta.url, './fit-thread'), { workerData: question });
    const stop = () => end(() => reject(signal?.reason as Error));
    function end(then: () => void): void {
      signal?.removeEventListener('abort', stop);
      thread.removeAllListeners();
      void thread.terminate().then(then);
    }
    signal?.addEventListener('abort', stop, { once: true });
    thread.on('message', (said: FitMessage) => {
      if (said.kind === 'backend') onBackend?.(said.backend);
      else if (said.kind === 'epoch') onEpoch?.(said.report, said.of);
      else if (said.kind === 'trial') end(() => resolve(said.trial));
      else end(() => reject(new (said.cannotLearn ? CannotLearn : TrainingBroke)(said.message)));
    });
    thread.on('error', (cause) => end(() => reject(new TrainingBroke(cause.message, { cause }))));
    thread.on('exit', (code) =>
      end(() => reject(new TrainingBroke(`The thread that trained ended with code ${code} and no answer.`))),
    );
  });
