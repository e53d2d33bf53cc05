import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadProject } from '../../config/load.ts';
import type { Model, Project } from '../../schemas/project.ts';

export interface Definition {
  readonly project: Project;
  readonly model: Model;
}

type Edit = (text: string) => string;

/** The simulated project as it is after an edit of one of its files: the same sources, other views or models. */
export function edited(file: string, edit: Edit, partitions = 3): Definition {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-edited-'));
  try {
    return editedIn(directory, file, edit, partitions);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The same, in a directory that the caller keeps as long as it needs the files. */
export function editedIn(directory: string, file: string, edit: Edit, partitions = 3): Definition {
  cpSync(fileURLToPath(new URL('./project', import.meta.url)), directory, { recursive: true });
  const path = join(directory, file);
  const before = readFileSync(path, 'utf8');
  const after = edit(before);
  if (after === before) throw new Error(`the edit changes nothing in ${file}`);
  writeFileSync(path, after);
  const project = loadProject(directory, { environment: {}, partitions });
  const [model] = project.models;
  if (model === undefined) throw new Error('the simulated project has a model');
  return { project, model };
}
