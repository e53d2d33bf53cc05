import type { ModelHistory, VersionState } from '../../infrastructure/registry/history.ts';
import {
  type Appended,
  type Change,
  type ModelRegistry,
  Superseded,
} from '../../infrastructure/registry/models.ts';
import type { ModelVersion } from '../../schemas/records/model-version.ts';
import { MillraceError } from '../../schemas/refusal.ts';

/** Who changes a model's versions, and why. */
export interface Author {
  readonly by: string;
  /** One sentence for whoever reads the registry later. */
  readonly reason: string;
  /** What it rests on: any JSON. */
  readonly evidence?: unknown;
  /** Event time of the first request that it holds for, epoch ms; null = at once, for every request still unanswered. */
  readonly effectiveFrom?: number | null;
  /** Run of the pipeline that makes the change: what one run appends twice counts once. */
  readonly run?: string | null;
}

/** A change that somebody asked for and that makes no sense as things stand. */
export class RolloutRefused extends MillraceError {
  readonly code = 'rollout_refused';
  readonly retriable = false;
}

const change = (
  { version, artefact, location, layout }: Pick<VersionState, 'version' | 'artefact' | 'location' | 'layout'>,
  state: ModelVersion['state'],
  author: Author,
  former: Change['former'] = null,
): Change => ({
  version,
  state,
  artefact,
  location,
  layout,
  by: author.by,
  reason: author.reason,
  evidence: JSON.stringify(author.evidence ?? {}),
  former,
  effectiveFrom: author.effectiveFrom ?? null,
  run: author.run ?? null,
});

/** @throws RolloutRefused */
export function versionOf({ model, versions }: ModelHistory, version: number): VersionState {
  const found = versions.find((one) => one.version === version);
  if (found !== undefined) return found;
  const known = versions.length === 0 ? 'it has none yet' : `it has 1 to ${versions.length}`;
  throw new RolloutRefused(`There is no version ${version} of ${model}: ${known} (millrace models).`);
}

/** What a training made. */
export interface NewVersion {
  readonly model: string;
  /** SHA-256 of what the artefact store holds already. */
  readonly artefact: string;
  readonly location: string;
  readonly layout: string;
  /**
   * `auto`: champion where the model has none, else a candidate. A challenger becomes champion where there is none that it
   * could challenge.
   */
  readonly as: 'auto' | 'candidate' | 'challenger' | 'champion';
  /** Whether a champion before it goes on in the shadow; default true. */
  readonly guarded?: boolean;
}

export interface Registered {
  readonly version: VersionState;
  /** The run had registered it before: nothing was appended now. */
  readonly already: boolean;
}

/**
 * Registers what a training made under the next number, against any other author. A run registers one version, however often
 * it (or a worker of it that came back from the dead) tries: the first counts and is answered with.
 */
export async function registerVersion(
  registry: ModelRegistry,
  made: NewVersion,
  author: Author,
): Promise<Registered> {
  const ofRun = ({ versions }: ModelHistory) =>
    versions.find(({ registered }) => registered.run !== null && registered.run === (author.run ?? null));
  const appended = await retrySuperseded(() =>
    registry.append(made.model, (history) => {
      if (ofRun(history) !== undefined) return [];
      const { champion } = history;
      const version = (history.versions.at(-1)?.version ?? 0) + 1;
      const as = champion === null && made.as !== 'candidate' ? 'champion' : made.as;
      const state = as === 'auto' ? 'candidate' : as;
      return [change({ ...made, version }, state, author, formerOf(history, state, made.guarded ?? true))];
    }),
  );
  const [record] = appended.changes;
  const version =
    record === undefined ? ofRun(appended.history) : versionOf(appended.history, record.version);
  if (version === undefined) throw new Error(`the registration of run ${author.run} vanished`);
  return { version, already: record === undefined };
}

/** What the champion before a new one becomes: in one change with it, so that there is never none. */
const formerOf = ({ champion }: ModelHistory, state: string, guarded: boolean): Change['former'] =>
  state !== 'champion' || champion === null ? null : guarded ? 'challenger' : 'retired';

/** A candidate goes into the shadow. */
export function toChallenger(version: number, author: Author): (history: ModelHistory) => readonly Change[] {
  return (history) => {
    const found = versionOf(history, version);
    if (found.state !== 'candidate')
      throw new RolloutRefused(
        `Version ${version} of ${history.model} is ${found.state} already; only a candidate goes into the shadow.`,
      );
    return [change(found, 'challenger', author)];
  };
}

/** A candidate or challenger takes over from the champion, which goes on in the shadow as its guard. */
export function promote(
  version: number,
  author: Author,
  guarded = true,
): (history: ModelHistory) => readonly Change[] {
  return (history) => {
    const found = versionOf(history, version);
    const { model } = history;
    const since = `since change ${found.since.change} (${found.since.reason})`;
    if (found.state === 'champion')
      throw new RolloutRefused(`Version ${version} of ${model} is the champion already, ${since}.`);
    if (found.guards !== null)
      throw new RolloutRefused(
        `Version ${version} of ${model} was champion before version ${found.guards} and guards it now: millrace models rollback brings it back.`,
      );
    if (found.state === 'retired')
      throw new RolloutRefused(
        `Version ${version} of ${model} is retired ${since}: train anew, or, if it was the champion before, roll back to it (millrace models rollback).`,
      );
    return [change(found, 'champion', author, formerOf(history, 'champion', guarded))];
  };
}

/** The version that a rollback brings back: the champion before this one, those that were rolled back left out. */
export function beforeOf({ changes, versions }: ModelHistory): VersionState | null {
  const line: number[] = [];
  for (const { version, state } of changes) {
    if (state !== 'champion') continue;
    const at = line.indexOf(version);
    if (at < 0) line.push(version);
    else line.length = at + 1;
  }
  return versions.find(({ version }) => version === line.at(-2)) ?? null;
}

/** The champion goes, and the one before it scores again. */
export function rollBack(author: Author): (history: ModelHistory) => readonly Change[] {
  return (history) => {
    const { model, champion } = history;
    const before = beforeOf(history);
    if (champion === null || before === null)
      throw new RolloutRefused(
        champion === null
          ? `${model} has no champion: there is nothing to roll back.`
          : `Version ${champion.version} is the first champion of ${model}: there is none to go back to. Promote another (millrace models).`,
      );
    return [change(before, 'champion', author, 'retired')];
  };
}

/** A candidate or challenger will never score. */
export function retire(version: number, author: Author): (history: ModelHistory) => readonly Change[] {
  return (history) => {
    const found = versionOf(history, version);
    if (found.state === 'champion')
      throw new RolloutRefused(
        `Version ${version} is the champion of ${history.model}, and there must be one: promote another, or roll back (millrace models promote, rollback).`,
      );
    if (found.state === 'retired')
      throw new RolloutRefused(
        `Version ${version} of ${history.model} is retired already, since change ${found.since.change} (${found.since.reason}).`,
      );
    return [change(found, 'retired', author)];
  };
}

const TRIES = 8;

/** For a machine whose decision looks at the newest history itself: tries again where another writer was first. */
export async function retrySuperseded(say: () => Promise<Appended>): Promise<Appended> {
  for (let left = TRIES; ; left -= 1)
    try {
      return await say();
    } catch (error) {
      if (!(error instanceof Superseded) || left <= 1) throw error;
    }
}
