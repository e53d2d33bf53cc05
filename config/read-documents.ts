import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConfigDocument, parseConfig } from './document.ts';
import { editDistance, mendOfUnknown } from './nearest.ts';
import type { Problem } from './problems.ts';
import type { Reporter } from './reporter.ts';

/** The files of a project, as they lie in its directory. */

const FOLDERS = ['sources', 'views', 'features', 'models'] as const;
const ROOT_FILES = ['project.yaml', 'alerts.yaml', 'pipelines.yaml', 'connections.yaml'] as const;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Why the system does not give a file, for a person; null where it is not there. */
function whyNot(error: unknown): string | null {
  const { code = '' } = error as NodeJS.ErrnoException;
  const reasons: Readonly<Record<string, string>> = {
    EISDIR: 'it is a directory',
    ENOTDIR: 'it is no directory',
    EACCES: 'you have no right to',
    EPERM: 'you have no right to',
    ELOOP: 'it is a link to itself',
    ERR_ENCODING_INVALID_ENCODED_DATA: 'its text is not UTF-8',
  };
  return code === 'ENOENT' ? null : (reasons[code] ?? code);
}

function listYaml(directory: string, file: string, reporter: Reporter): string[] {
  try {
    return readdirSync(join(directory, file))
      .filter((name) => /\.ya?ml$/i.test(name))
      .sort();
  } catch (error) {
    const why = whyNot(error);
    if (why !== null) reporter.add(unreadable(file, why));
    return [];
  }
}

function unreadable(file: string, why: string): Problem {
  const message = `'${file}' cannot be read: ${why}.`;
  return { file, line: 1, column: 1, message, mend: 'Mend it, or take it out of the project.' };
}

/** The text of a file; null where it cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/**
 * Whether a YAML file of the root that is none of ours is a slip: its name is nearly one of ours, or it holds a declaration.
 * Lock files of package managers, compose files and the like are their owners' affair.
 */
function isMeantForUs(name: string, text: string): boolean {
  const stem = (file: string) => file.replace(/\.ya?ml$/i, '').toLowerCase();
  return (
    ROOT_FILES.some((file) => editDistance(stem(file), stem(name)) <= 2) ||
    /^(?:source|view|model):/m.test(text)
  );
}

/** Reads the files of a directory; a file that was meant to be part of a project and is not is a problem. */
export function readDocuments(directory: string, reporter: Reporter): Map<string, ConfigDocument> {
  const documents = new Map<string, ConfigDocument>();
  /** A file that was listed. */
  const read = (file: string) => {
    let text: string;
    try {
      text = utf8.decode(readFileSync(join(directory, file)));
    } catch (error) {
      // Editors leave links to nowhere beside what they have open: `.#card.yaml`.
      if (!/(^|\/)\./.test(file)) {
        reporter.add(unreadable(file, whyNot(error) ?? 'it is a link to nothing'));
        documents.set(file, { ...parseConfig(file, '').document, value: undefined });
      }
      return;
    }
    const { document, problems } = parseConfig(file, text);
    for (const problem of problems) reporter.add(problem);
    documents.set(file, document);
  };
  for (const name of listYaml(directory, '', reporter)) {
    if ((ROOT_FILES as readonly string[]).includes(name)) read(name);
    else if (isMeantForUs(name, readText(join(directory, name)) ?? ''))
      reporter.add({
        file: name,
        line: 1,
        column: 1,
        message: `A project has no file '${name}'.`,
        mend: mendOfUnknown(name, [...ROOT_FILES, ...FOLDERS.map((folder) => `${folder}/*.yaml`)]),
      });
  }
  for (const folder of FOLDERS)
    for (const name of listYaml(directory, folder, reporter)) {
      if (name.endsWith('.yaml')) read(`${folder}/${name}`);
      else
        reporter.add({
          file: `${folder}/${name}`,
          line: 1,
          column: 1,
          message: `'${name}' does not end in .yaml.`,
          mend: 'Rename it.',
        });
    }
  return documents;
}
