import type { ApiDeps } from './deps.ts';
import { alertRoutes } from './endpoints/alerts.ts';
import { deadLetterRoutes } from './endpoints/dead-letters.ts';
import { entityEventRoutes } from './endpoints/entity-events.ts';
import { eventRoutes } from './endpoints/events.ts';
import { featureRoutes } from './endpoints/features.ts';
import { protocolRoutes } from './endpoints/inference-protocol.ts';
import { jobRoutes } from './endpoints/jobs.ts';
import { modelLookRoutes } from './endpoints/model-looks.ts';
import { modelRoutes } from './endpoints/models.ts';
import { monitoringRoutes } from './endpoints/monitoring.ts';
import { pipelineRoutes } from './endpoints/pipelines.ts';
import { predictRoutes } from './endpoints/predict.ts';
import { predictionRoutes } from './endpoints/predictions.ts';
import { projectRoutes } from './endpoints/project.ts';
import { sourceRoutes } from './endpoints/sources.ts';
import { sqlRoutes } from './endpoints/sql.ts';
import { stepLogRoutes } from './endpoints/step-log.ts';
import { streamRoutes } from './endpoints/streams.ts';
import { type SystemDeps, systemRoutes } from './endpoints/system.ts';
import { trialRoutes } from './endpoints/trials.ts';
import { openApiOf } from './openapi.ts';
import { createPredictors } from './predictor.ts';
import type { Route } from './route.ts';

/** Every endpoint, in the order in which the document shows them. */
export function apiRoutes(
  deps: ApiDeps,
  system: Omit<SystemDeps, 'document'>,
): { readonly routes: Route[]; close(): Promise<void> } {
  let document: object | undefined;
  const predictorOf = createPredictors(deps);
  const streams = streamRoutes(deps);
  const jobs = jobRoutes(deps, (jobs) => trialRoutes(deps, jobs));
  const routes = [
    ...eventRoutes(deps),
    ...featureRoutes(deps),
    ...entityEventRoutes(deps),
    ...predictRoutes(predictorOf),
    ...modelRoutes(deps),
    ...modelLookRoutes(deps),
    ...protocolRoutes({ ...deps, version: system.version }, predictorOf),
    ...predictionRoutes(deps),
    ...monitoringRoutes(deps),
    ...alertRoutes(deps),
    ...pipelineRoutes(deps),
    ...stepLogRoutes(deps),
    ...projectRoutes(deps),
    ...sqlRoutes(deps),
    ...deadLetterRoutes(deps),
    ...sourceRoutes(deps),
    ...jobs.routes,
    ...streams.routes,
    ...systemRoutes({
      ...system,
      document: () => {
        document ??= openApiOf(routes, system.version);
        return document;
      },
    }),
  ];
  return {
    routes,
    async close() {
      await streams.close();
      await jobs.close();
    },
  };
}
