import type { TrainProgress } from '../pipelines/training/training.ts';
import { count, day } from './format.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';

export interface TrainingSteps {
  on(done: TrainProgress): void;
  /** Ends whatever line stands open. */
  done(summary?: string): void;
  fail(): void;
}

/** Data set, vectors, epochs: a line each. */
export function trainingSteps(output: Output): TrainingSteps {
  let open: { readonly name: string; readonly progress: Progress } | undefined;
  let summary = '';

  function step(name: string, options: { total?: number; unit?: string } = {}): Progress {
    if (open?.name === name) return open.progress;
    open?.progress.done(summary);
    summary = '';
    open = { name, progress: output.progress(name, options) };
    return open.progress;
  }
  step('labels');

  return {
    on(done) {
      if (done.step === 'labels') summary = `${count(done.rows)} requests whose outcome is known`;
      else if (done.step === 'logged') {
        if (done.rows > 0) summary += `; ${count(done.rows)} have their logged vector`;
      } else if (done.step === 'vectors') {
        const progress = step('feature vectors', { total: done.of, unit: 'vectors' });
        summary = `${count(done.vectors)} vectors, read as live would have`;
        progress.update(done.vectors, day(done.time));
      } else if (done.step === 'backend') step('training').detail(`on ${done.backend.name}`);
      else {
        const { report, of } = done;
        const progress = step('training');
        progress.total(of);
        summary = `${report.epoch} epochs, validation log loss ${report.validation.logLoss.toFixed(4)}`;
        progress.update(report.epoch, `validation log loss ${report.validation.logLoss.toFixed(4)}`);
      }
    },
    done(last) {
      open?.progress.done(last ?? summary);
      open = undefined;
    },
    fail() {
      open?.progress.fail();
      open = undefined;
    },
  };
}
