import { parentPort, workerData } from 'node:worker_threads';
import { giveWayInThread } from '../../infrastructure/local/give-way.ts';
import { CannotLearn } from '../../models/cannot-learn.ts';
import { fitTrial } from './fit.ts';
import type { FitMessage, FitQuestion } from './fit-apart.ts';

/** A thread that trains once, on the rows it was begun with; see fit-apart.ts. */
const { features, trainer, training, parameters, share } = workerData as FitQuestion;
const say = (message: FitMessage) => parentPort?.postMessage(message);

giveWayInThread();
try {
  const trial = await fitTrial(
    { features: features.map((name) => ({ name })), trainer },
    training,
    parameters,
    share,
    {
      onBackend: (backend) => say({ kind: 'backend', backend }),
      onEpoch: (report, of) => say({ kind: 'epoch', report, of }),
    },
  );
  say({ kind: 'trial', trial });
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  say({ kind: 'failure', cannotLearn: error instanceof CannotLearn, message });
}
