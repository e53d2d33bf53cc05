import { parentPort, workerData } from 'node:worker_threads';
import { giveWayInThread } from '../../infrastructure/local/give-way.ts';
import { fitTrial } from '../training/fit.ts';
import type { TrialData, TrialMessage, TrialQuestion } from './pool.ts';

/** A thread that trains what it is asked, on the rows it was begun with. */
const { features, trainer, rows, labels, times } = workerData as TrialData;
const model = { trainer, features: features.map((name) => ({ name })) };

giveWayInThread();

parentPort?.on('message', (question: TrialQuestion) => {
  answer(question).then((message) => parentPort?.postMessage(message));
});

async function answer({ parameters, share }: TrialQuestion): Promise<TrialMessage> {
  try {
    const trial = await fitTrial(model, { rows, labels, times }, parameters, share);
    const { trained } = trial;
    return {
      kind: 'answer',
      answer: {
        loss: trained.validation.logLoss,
        validation: trained.validation,
        epochs: trained.epochs,
        rounds: trained.rounds,
        bestEpoch: trained.bestEpoch,
        parameters: trial.parameters,
        backend: trial.backend.name,
        durationMs: trial.durationMs,
      },
    };
  } catch (error) {
    return { kind: 'failure', message: error instanceof Error ? error.message : String(error) };
  }
}
