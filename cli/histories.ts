import type { History, Project, Source } from '../schemas/project.ts';
import { UsageError } from './errors.ts';

/** A reader of history, and the file that it reads: null where it has one of its own. */
export interface ChosenHistory {
  readonly history: Pick<History, 'reader'>;
  readonly source: Source;
  readonly path: string | null;
}

export interface HistoryChoice {
  /** FILE of the command line. */
  readonly file: string | undefined;
  /** `--source`: only this one. */
  readonly source?: string | undefined;
  readonly command: 'import' | 'replay' | 'evaluate';
}

/** What a command reads: the project's declared histories, or FILE as events of one source. */
export function historiesOf(project: Project, choice: HistoryChoice): readonly ChosenHistory[] {
  const { file, command } = choice;
  const declared = project.history.filter(
    ({ source }) => choice.source === undefined || source === choice.source,
  );
  if (declared.length === 0) return [undeclared(project, choice)];
  if (file !== undefined && declared.length > 1)
    throw new UsageError(
      `Project ${project.name} has histories of ${declared.map(({ source }) => source).join(', ')}: say with --source which of them ${file} holds.`,
    );
  return declared.map((history) => {
    const path = file ?? history.file;
    if (history.reader === 'events' && path === null)
      throw new UsageError(
        `Name the file to read: millrace ${command} FILE${declared.length > 1 ? ` --source ${history.source}` : ''}, or write it beside its reader in project.yaml: \`file:\`.`,
      );
    return { history, source: sourceOf(project, history.source), path };
  });
}

/** The one history of a project with one source. */
export function historyOf(
  project: Project,
  file: string | undefined,
  command: HistoryChoice['command'],
): ChosenHistory {
  const [first, second] = historiesOf(project, { file, command });
  if (first === undefined || second !== undefined)
    throw new UsageError(
      `This needs a project with one history; ${project.name} has another number of them.`,
    );
  return first;
}

function undeclared(project: Project, { file, source, command }: HistoryChoice): ChosenHistory {
  const [only, second] = project.sources;
  const name = source ?? (second === undefined ? only?.name : undefined);
  if (file === undefined)
    throw new UsageError(
      `Project ${project.name} declares no history${source === undefined ? '' : ` of ${source}`}: name a file, or add \`history:\` to project.yaml.`,
    );
  if (name === undefined)
    throw new UsageError(
      `Say whose events ${file} holds: millrace ${command} ${file} --source NAME, one of ${project.sources.map((one) => one.name).join(', ')}.`,
    );
  return { history: { reader: 'events' }, source: sourceOf(project, name), path: file };
}

export function sourceOf(project: Project, name: string): Source {
  const source = project.sources.find((one) => one.name === name);
  if (source === undefined)
    throw new UsageError(
      `Project ${project.name} has no source '${name}'; it has ${project.sources.map((one) => one.name).join(', ')}.`,
    );
  return source;
}
