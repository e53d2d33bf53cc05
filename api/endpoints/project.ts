import { z } from 'zod';
import { describeProject } from '../../config/check.ts';
import type { ApiDeps } from '../deps.ts';
import { LOOK } from '../roles.ts';
import { type Route, route } from '../route.ts';
import { createTopology, topologySchema } from '../topology.ts';

const projectSchema = z.object({
  name: z.string(),
  prefix: z.string(),
  hash: z.string().describe('Of the declarations.'),
  sources: z.array(
    z.object({
      source: z.string(),
      key: z.string(),
      partitions: z.number().int(),
      format: z.string(),
      outOfOrdernessMs: z.number(),
      fields: z.array(z.object({ name: z.string(), type: z.string() })),
      events: z.array(
        z.object({ type: z.string(), required: z.array(z.string()), rules: z.array(z.string()) }),
      ),
    }),
  ),
  views: z.array(
    z.object({
      view: z.string(),
      id: z.string().describe('name@version'),
      entity: z.array(z.string()),
      sources: z.array(z.string()),
      resolutionMs: z.number(),
      readDelayMs: z.number(),
      slackMs: z.number(),
      features: z.array(z.object({ name: z.string(), aggregation: z.string() })),
      worstTiles: z.number().describe('Tiles that one entity has in the online store, at most.'),
      worstBytes: z.number().describe('Bytes that one entity takes there, at most; an estimate.'),
    }),
  ),
  models: z.array(
    z.object({
      model: z.string(),
      request: z.object({ source: z.string(), eventType: z.string() }),
      reads: z.array(z.object({ name: z.string(), view: z.string(), key: z.array(z.string()) })),
      features: z.array(
        z.object({
          name: z.string(),
          expression: z.string().nullable().describe('Null where it is read as it stands.'),
          read: z
            .string()
            .nullable()
            .describe('Read of a view that it comes from; null where the request brings it.'),
        }),
      ),
      label: z.object({ source: z.string(), eventType: z.string(), maturityMs: z.number() }),
      threshold: z.number(),
    }),
  ),
  rules: z.array(z.string()).describe('Of alerts.'),
  pipelines: z.array(z.string()),
});

/** Of the connections nothing. */
function plainProject({ project }: Pick<ApiDeps, 'project'>): z.output<typeof projectSchema> {
  const { name, prefix, hash } = project;
  const costs = new Map(describeProject(project).views.map((one) => [one.id, one]));
  return {
    name,
    prefix,
    hash,
    sources: project.sources.map((one) => ({
      source: one.name,
      key: one.key,
      partitions: one.partitions,
      format: one.format.kind,
      outOfOrdernessMs: one.outOfOrderness,
      fields: [...one.fields],
      events: one.events.map(({ name: type, required, rules }) => ({
        type,
        required: [...required],
        rules: rules.map((rule) => rule.name),
      })),
    })),
    views: project.views.map((one) => ({
      view: one.name,
      id: one.id,
      entity: [...one.entity],
      sources: [...one.sources],
      resolutionMs: one.resolution,
      readDelayMs: one.readDelay,
      slackMs: one.slack,
      features: one.features.map(({ name: feature, aggregation }) => ({ name: feature, aggregation })),
      worstTiles: costs.get(one.id)?.worstTiles ?? 0,
      worstBytes: costs.get(one.id)?.worstBytes ?? 0,
    })),
    models: project.models.map((one) => ({
      model: one.name,
      request: one.request,
      reads: one.reads.map(({ name: read, view, key }) => ({ name: read, view, key: [...key] })),
      features: one.features.map((feature) => ({
        name: feature.name,
        expression: feature.kind === 'on_demand' ? feature.expression : null,
        read: feature.kind === 'stored' ? (one.reads[feature.read]?.name ?? null) : null,
      })),
      label: { source: one.label.source, eventType: one.label.eventType, maturityMs: one.label.maturity },
      threshold: one.threshold,
    })),
    rules: project.alerting.rules.map((rule) => rule.name),
    pipelines: project.pipelines.map((pipeline) => pipeline.name),
  };
}

export function projectRoutes(deps: ApiDeps): Route[] {
  const topology = createTopology(deps);
  return [
    route({
      method: 'GET',
      path: '/v1/project',
      name: 'getProject',
      tag: 'project',
      summary: 'What the project declares',
      access: LOOK,
      answers: [{ status: 200, description: 'The declarations.', schema: projectSchema }],
      handle: async () => plainProject(deps),
    }),
    route({
      method: 'GET',
      path: '/v1/topology',
      name: 'getTopology',
      tag: 'project',
      summary: 'Topics and streams, with what flows and what waits now',
      description: 'Rates are measured between two looks at the ends of the topics, at least a second apart.',
      access: LOOK,
      answers: [{ status: 200, description: 'The topology.', schema: topologySchema }],
      handle: async () => topology(),
    }),
  ];
}
