import type { Project } from '../../schemas/project.ts';

/** What a person has to do after a change before all of it is in service, a sentence each. */
export function afterChange(before: Project, after: Project): string[] {
  const known = new Set(before.views.map(({ id }) => id));
  const changed = after.views.filter(({ id }) => !known.has(id)).map(({ name }) => name);
  const models = after.models.filter((model) => {
    const former = before.models.find(({ name }) => name === model.name);
    return former !== undefined && former.layoutHash !== model.layoutHash;
  });
  return [
    ...(changed.length === 0
      ? []
      : [
          `${list(changed)} ${changed.length === 1 ? 'begins' : 'begin'} without a past: \`millrace backfill state --view ${changed.join(' ')} --replace\` gives it from the archive. Until then models answer from the definition before, where there was one.`,
        ]),
    ...models.map(
      ({ name }) =>
        `${name} has other features now, so that its versions do not fit: \`millrace train ${name} --promote\` trains one that does.`,
    ),
  ];
}

const list = (names: readonly string[]) =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
