import { parentPort, workerData } from 'node:worker_threads';
import { loadProject } from '../../config/load.ts';
import { giveWayInThread } from '../../infrastructure/local/give-way.ts';
import { openServers } from '../../platform/platform.ts';
import { modelOf } from '../commands/predictions.ts';
import type { LearnMessage, LearnQuestion } from './learn-apart.ts';
import { learnQuietly } from './steps.ts';

/** A thread that trains a version on the servers of the demo; see learn-apart.ts. */
const { directory, prefix, artefacts, packageDirectory, variables, learner, lesson, urgent } =
  workerData as LearnQuestion;
const say = (message: LearnMessage) => parentPort?.postMessage(message);

if (!urgent) giveWayInThread();
const project = loadProject(directory, { environment: variables, prefix });
const platform = openServers(project, { artefacts });
try {
  const context = { environment: { packageDirectory }, signal: new AbortController().signal };
  const model = { ...modelOf(project, undefined), ...learner };
  const learnt = await learnQuietly({ context, project, platform, model }, lesson, (done) =>
    say({ kind: 'progress', done }),
  );
  say({ kind: 'learnt', learnt });
} catch (error) {
  say({ kind: 'failure', message: error instanceof Error ? error.message : String(error) });
} finally {
  await platform.close();
}
