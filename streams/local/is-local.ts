import type { Model, Project } from '../../schemas/project.ts';

/**
 * Whether all that a model reads lies in memory where its requests are ingested: every read is of a local view of the requests' own
 * source, by the source's key.
 */
export function isLocalModel(project: Project, { reads, request }: Model): boolean {
  const source = project.sources.find(({ name }) => name === request.source);
  return (
    reads.length > 0 &&
    reads.every(({ defaults, key, view: name }) => {
      const view = project.views.find((one) => one.name === name);
      return (
        source !== undefined &&
        view?.local === true &&
        view.sources[0] === source.name &&
        view.partitions === source.partitions &&
        key.length === 1 &&
        key[0] === source.key &&
        Object.keys(defaults).length === 0
      );
    })
  );
}
