import { z } from 'zod';
import { READERS } from '../schemas/project.ts';
import { alertsSchema } from './alerting.ts';
import { connectionsSchema } from './connections-declaration.ts';
import { modelSchema } from './model-declaration.ts';
import { pipelinesSchema } from './pipelines.ts';
import { sourceSchema } from './source-declaration.ts';
import { duration, name } from './texts.ts';
import { viewSchema } from './view-declaration.ts';

/** What a person writes. One schema for the loader, the editors' JSON Schema and the reference. */

const retentionSchema = z
  .strictObject({
    raw: duration('Raw topics.').default('7d'),
    validated: duration('Validated topics.').default('7d'),
    predictions: duration('Prediction topics.').default('30d'),
    dead_letters: duration('Dead-letter topics.').default('30d'),
    view_extra: duration('View topics are kept for the longest window and this much more.').default('3d'),
    state_extra: duration('State is kept for the longest window and this much more.').default('7d'),
  })
  .describe('How long things are kept, by arrival time.');

const historySchema = z
  .strictObject({
    reader: z
      .enum(READERS)
      .describe("How files become events: `events` reads Parquet or JSON lines with the source's columns."),
    source: name('Source that the files hold.'),
    file: z
      .string()
      .min(1)
      .optional()
      .describe('File to read where a command names none, from the directory of the project.'),
  })
  .describe('How the files of one source are read.');

export const projectSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, { error: 'project name' })
      .describe('Name of the project: small letters, digits and -.'),
    prefix: z
      .string()
      .regex(/^[a-z][a-z0-9-]*$/, { error: 'project name' })
      .optional()
      .describe('First part of every topic, key and table. Default: the name.'),
    sources: z.array(sourceSchema).default([]).describe('Sources; those in `sources/*.yaml` join them.'),
    history: z
      .union([historySchema, z.array(historySchema).min(1)])
      .optional()
      .describe('How `import` and `replay` read files: one reader, or a list with one for each source.'),
    retention: retentionSchema.prefault({}),
  })
  .describe('A project.');

export type ProjectDeclaration = z.output<typeof projectSchema>;

/** The kinds of file of a project, with what the first lines of the reference say of each. */
export const FILES = {
  project: { schema: projectSchema, file: 'project.yaml', title: 'Project' },
  source: { schema: sourceSchema, file: 'sources/*.yaml', title: 'Source' },
  view: { schema: viewSchema, file: 'views/*.yaml or features/*.yaml', title: 'View' },
  model: { schema: modelSchema, file: 'models/*.yaml', title: 'Model' },
  alerts: { schema: alertsSchema, file: 'alerts.yaml', title: 'Alerts' },
  pipelines: { schema: pipelinesSchema, file: 'pipelines.yaml', title: 'Pipelines' },
  connections: { schema: connectionsSchema, file: 'connections.yaml', title: 'Connections' },
} as const;
