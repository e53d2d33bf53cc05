import type { SchemaRegistry } from '../../infrastructure/registry/port.ts';
import type { Project } from '../../schemas/project.ts';
import { subjectsOf } from '../runtime/codecs.ts';
import type { Change, Declared } from './change.ts';

/** The subjects of a project in the registry, as `apply` takes them. */
export function declaredSchemas(registry: SchemaRegistry, project: Project): Declared {
  const subjects = subjectsOf(project);
  return {
    kind: 'schema',
    plan: () =>
      Promise.all(
        subjects.map(async ({ subject, schema }): Promise<Change> => {
          const change = (action: Change['action'], detail: string): Change => ({
            kind: 'schema',
            name: subject,
            action,
            detail,
          });
          const standing = await registry.standing(subject, schema);
          if (standing.status === 'new')
            return change('create', 'a new subject, BACKWARD compatible from now on');
          if (standing.status === 'same') return change('keep', `schema ${standing.id}`);
          if (standing.status === 'compatible')
            return change('update', 'a new version that reads what was written');
          return change('conflict', standing.detail);
        }),
      ),
    async apply() {
      for (const { subject, schema } of subjects) await registry.register(subject, schema);
    },
  };
}

/** Deletes every subject that begins with `subjectPrefix`; answers how many. */
export async function removeSchemas(registry: SchemaRegistry, subjectPrefix: string): Promise<number> {
  const subjects = (await registry.subjects()).filter((subject) => subject.startsWith(subjectPrefix));
  for (const subject of subjects) await registry.remove(subject);
  return subjects.length;
}
