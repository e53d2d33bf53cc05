import type { FieldType } from '../../schemas/event.ts';
import type { EventType, Model, Project, Source } from '../../schemas/project.ts';
import type { StoredFeature, View } from '../../schemas/view.ts';

/** What travels in a project, in the terms that types and JSON Schemas share. */

export interface FieldShape {
  readonly name: string;
  readonly type: FieldType;
  /** May not be null. */
  readonly required: boolean;
}

/** The fields that an event type must have, its key among them, and those that it may have. */
export function fieldsOf(source: Source, event: EventType): FieldShape[] {
  const required = new Set([...event.required, source.key]);
  return source.fields.map(({ name, type }) => ({ name, type, required: required.has(name) }));
}

/** Fields that make a view's key, as its first source declares them. */
export function entityOf(project: Project, view: View): Array<Pick<FieldShape, 'name' | 'type'>> {
  const source = project.sources.find(({ name }) => name === view.sources[0]);
  return view.entity.map((name) => ({
    name,
    type: source?.fields.find((field) => field.name === name)?.type ?? 'string',
  }));
}

/** Whether a feature may be null: an empty window of a count or a sum reads 0. */
export const isNullable = (feature: StoredFeature): boolean =>
  feature.kind === 'periodic' || !['count', 'sum'].includes(feature.aggregation);

/** The event that asks a model. */
export function requestOf(project: Project, model: Model): { source: Source; event: EventType } {
  const source = project.sources.find(({ name }) => name === model.request.source);
  const event = source?.events.find(({ name }) => name === model.request.eventType);
  if (source === undefined || event === undefined)
    throw new Error(`${model.name} asks by ${model.request.eventType}, which no source has`);
  return { source, event };
}

/** Whether the API and the client library can write the records of a source. */
export const isOurs = ({ format }: Source): boolean => format.kind !== 'registry';
