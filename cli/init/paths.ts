import { canBeId, guessId, guessTime, unitOf, whyNoTime, words } from './guess.ts';
import type { ObservedPath } from './observe.ts';

/** The samples, or the wishes, do not make a project. The message says what to do. */
export class NoProposal extends Error {}

/** The path of the time: as wished, else guessed. Throws NoProposal. */
export function timePath(paths: readonly ObservedPath[], wished: string | undefined): ObservedPath {
  const named = wished === undefined ? undefined : pathNamed(paths, wished, 'time');
  const chosen = named ?? guessTime(paths);
  if (chosen !== undefined && unitOf(chosen) !== null) return chosen;
  const why = (named === undefined ? paths : [named]).map(whyNoTime).find((reason) => reason !== null);
  throw new NoProposal(
    why ??
      (named === undefined
        ? `No time was found among ${paths.map(({ path }) => path).join(', ')}: name it with --time.`
        : `${named.path} holds no time: it must be epoch milliseconds or seconds, or ISO 8601 text with a zone.`),
  );
}

/** The path of the id: as wished, else guessed; undefined where none was found. `about`: see `guessId`. A field that is named as the key is no id. Throws NoProposal. */
export function idPath(
  paths: readonly ObservedPath[],
  records: number,
  { id, key }: { readonly id?: string | undefined; readonly key?: string | undefined },
  about: string | null,
): ObservedPath | undefined {
  if (id === undefined)
    return guessId(
      key === undefined ? paths : paths.filter(({ path }) => words(path) !== words(key)),
      records,
      about,
    );
  const named = pathNamed(paths, id, 'id');
  if (named.values.length === records && canBeId(named)) return named;
  throw new NoProposal(`${named.path} cannot be the id: each record needs one, a text or a whole number.`);
}

/** The path that a person means. Throws NoProposal where the sample has none of the name. */
export function pathNamed(paths: readonly ObservedPath[], wished: string, what: string): ObservedPath {
  const found =
    paths.find(({ path }) => path === wished) ?? paths.find(({ path }) => words(path) === words(wished));
  if (found === undefined)
    throw new NoProposal(
      `The sample has no '${wished}' for the ${what}; it has ${paths.map(({ path }) => path).join(', ')}.`,
    );
  return found;
}
