import { readFileSync } from 'node:fs';
import { slugOf } from '../.vitepress/slug.ts';

/** A page of the site for each group of operations in openapi.json, made when the site is built. */
interface Operation {
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: ReadonlyArray<{
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: object;
    readonly description?: string;
  }>;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  /** What every route answers when something is wrong is told in one place, and referred to. */
  readonly responses: Readonly<Record<string, { readonly description?: string }>>;
}

interface Document {
  readonly tags: ReadonlyArray<{ readonly name: string }>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const json = (schema: object) => ['```json', JSON.stringify(schema, null, 2), '```'];
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function operationText(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? []).map(
    ({ name, in: place, required, schema, description }) =>
      `| \`${name}\` | ${place}${required ? ', required' : ''} | \`${cell(JSON.stringify(schema))}\` | ${cell(description ?? '')} |`,
  );
  const bodies = Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, { schema }]) => [
    '',
    `Body, \`${type}\`:`,
    '',
    ...json(schema),
  ]);
  const answers = Object.entries(operation.responses).flatMap(([status, { description }]) =>
    description === undefined ? [] : [`| ${status} | ${cell(description)} |`],
  );
  return [
    `## \`${method.toUpperCase()} ${path}\``,
    '',
    `${operation.summary}. ${operation.description ?? ''}`,
    ...(parameters.length === 0
      ? []
      : ['', '| parameter | where | schema | |', '|---|---|---|---|', ...parameters]),
    ...bodies,
    '',
    '| answer | |',
    '|---|---|',
    ...answers,
    '',
  ].join('\n');
}

/** The pages: their address and their Markdown. */
export function operationPages(document: Document): Array<{ params: { group: string }; content: string }> {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      tags: operation.tags,
      text: operationText(method, path, operation),
    })),
  );
  return document.tags.map(({ name }) => ({
    params: { group: slugOf(name) },
    content: [
      `# HTTP API: ${name}`,
      '',
      'Made from `openapi.json`. How keys, errors and limits work is told in [the guide](../user_guides/api.md).',
      '',
      ...all.filter(({ tags }) => tags.includes(name)).map(({ text }) => text),
    ].join('\n'),
  }));
}

export default {
  paths: () =>
    operationPages(JSON.parse(readFileSync(new URL('openapi.json', import.meta.url), 'utf8')) as Document),
};
