import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { UsageError } from '../errors.ts';

/** A copy of a project's declarations with one of them in place of, or beside, the ones that it has. */
export interface Overlay {
  readonly directory: string;
  readonly kind: 'view' | 'model';
  /** Of the view or the model. */
  readonly name: string;
  /** The project has one of this name already. */
  readonly replaces: boolean;
  /** The text is the one that the project has. */
  readonly same: boolean;
  /** Adds a declaration. */
  add(path: string, text: string): void;
  remove(): void;
}

export const VIEW_FOLDERS = ['views', 'features'] as const;
const FOLDERS = { view: VIEW_FOLDERS, model: ['models'] } as const;

/** @param given text of the declaration; default: what the file holds. */
export function overlayOf(project: string, file: string, given?: string): Overlay {
  if (given === undefined && !existsSync(file)) {
    const own = join(project, file);
    const mend = existsSync(own) ? ` A path counts from the current directory; the project has ${own}.` : '';
    throw new UsageError(`There is no file ${resolve(file)}.${mend}`);
  }
  const text = given ?? readFileSync(file, 'utf8');
  const { kind, name } = declared(file, text);
  const directory = mkdtempSync(join(tmpdir(), 'millrace-try-'));
  for (const entry of readdirSync(project, { withFileTypes: true })) {
    const yaml = entry.isFile() && /\.ya?ml$/.test(entry.name);
    const folder = entry.isDirectory() && ['sources', 'views', 'features', 'models'].includes(entry.name);
    if (yaml || folder) cpSync(join(project, entry.name), join(directory, entry.name), { recursive: true });
  }
  let same = false;
  let replaces = false;
  for (const folder of FOLDERS[kind])
    for (const path of yamlIn(join(directory, folder))) {
      const own = readFileSync(path, 'utf8');
      if (nameIn(own, kind) !== name) continue;
      replaces = true;
      same = own === text;
      rmSync(path);
    }
  const add = (path: string, content: string) => {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), content);
  };
  // The name of the file that was tried, so that `check` speaks of it.
  add(`${FOLDERS[kind][0]}/${basename(file)}`, text);
  return {
    directory,
    kind,
    name,
    replaces,
    same,
    add,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function declared(file: string, text: string): { readonly kind: 'view' | 'model'; readonly name: string } {
  for (const kind of ['view', 'model'] as const) {
    const name = nameIn(text, kind);
    if (name !== null) return { kind, name };
  }
  throw new UsageError(
    `${file} declares neither a view nor a model: its first key should be \`view:\` or \`model:\`.`,
  );
}

/** The name that a text declares; null where it declares none of the kind. */
export function nameIn(text: string, kind: 'view' | 'model'): string | null {
  try {
    const value: unknown = parse(text);
    const name =
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[kind] : null;
    return typeof name === 'string' ? name : null;
  } catch {
    // The loader says what is wrong with it, and where.
    return (
      /^view:\s*(\w+)/m.exec(kind === 'view' ? text : '')?.[1] ??
      /^model:\s*(\w+)/m.exec(kind === 'model' ? text : '')?.[1] ??
      null
    );
  }
}

function yamlIn(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => join(directory, name));
}

/** A model that reads a view and nothing else, for a look at its values where no model of the project reads it. */
export function probeModel(
  name: string,
  view: string,
  request: { readonly source: string; readonly event: string },
  key: string,
): string {
  return `model: ${name}
request: ${request.event}
source: ${request.source}
reads: { ${view}: }
features: ['${view}.*']
label: { event: ${request.event}, source: ${request.source}, join: [${key}], check: 'true' }
`;
}
