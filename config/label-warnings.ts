import type { Project } from '../schemas/project.ts';

/**
 * Labels joined by an entity of a view: features are kept of it because it comes again, so it does not tell one request from
 * the next.
 */
export function labelWarnings({ views, models }: Project): string[] {
  return models.flatMap(({ name, request, label, reads }) => {
    const fields = label.join.map((pair) => pair.request);
    const comeAgain = [...reads.map(({ key }) => key), ...views.map(({ entity }) => entity)];
    const entity = comeAgain.find((one) => one.every((field) => fields.includes(field)));
    if (entity === undefined || fields.includes('id')) return [];
    return [
      `The label of the model ${name} is joined by ${fields.join(', ')}, but ${entity.join(', ')} is the entity of a view: the same keys may ask again. A label belongs to the latest ${request.eventType} at or before it. A request that is asked again before its label came stays without a label; 'millrace train' counts them. Where both events have a field that is unique to the request, join by that field alone.`,
    ];
  });
}
