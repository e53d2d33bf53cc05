import type { ModelState, ModelVersion } from '../../schemas/records/model-version.ts';

/** What one version is now: its last change, or the one that another's promotion made of it. */
export interface VersionState {
  readonly model: string;
  readonly version: number;
  readonly state: ModelState;
  /** SHA-256. */
  readonly artefact: string;
  readonly location: string;
  readonly layout: string;
  /** The change that made it what it is. */
  readonly since: ModelVersion;
  readonly registered: ModelVersion;
  /** Champion that this version guards from the shadow, having been champion before it; null for none. */
  readonly guards: number | null;
}

/** Which versions answer the requests of a stretch of event time: from <= time < the next stretch's from. */
export interface Stretch {
  /** Epoch ms; minus infinity for the first. */
  readonly from: number;
  readonly champion: number | null;
  /** In rising order; never the champion. */
  readonly shadows: readonly number[];
}

/** All that counts of one model's log. */
export interface ModelHistory {
  readonly model: string;
  /** `changes[i].change` is i + 1. */
  readonly changes: readonly ModelVersion[];
  /** Appended too late: another writer had taken the number. */
  readonly superseded: readonly ModelVersion[];
  /** By version. */
  readonly versions: readonly VersionState[];
  /** Of the moment, whatever event time it holds from. */
  readonly champion: VersionState | null;
}

/**
 * Reads a model's changes out of the log, all readers alike: a record counts where it carries the next number and names
 * the change before it. If two writers decide on the same history, the first in the log counts, and nothing that
 * the other appended with the same call.
 */
export function historyOf(model: string, log: Iterable<ModelVersion>): ModelHistory {
  const changes: ModelVersion[] = [];
  const superseded: ModelVersion[] = [];
  const versions = new Map<number, VersionState>();
  let champion: VersionState | null = null;
  let lastId = '';
  for (const record of log) {
    if (record.model !== model) continue;
    if (record.change !== changes.length + 1 || record.after !== lastId) {
      superseded.push(record);
      continue;
    }
    changes.push(record);
    lastId = record.id;
    const { version, state, artefact, location, layout, former } = record;
    const known = versions.get(version);
    const next: VersionState = {
      model,
      version,
      state,
      artefact,
      location,
      layout,
      since: record,
      registered: known?.registered ?? record,
      guards: null,
    };
    if (state === 'champion') {
      // A guard ends with its champion: what guarded the version that goes now has nothing to guard any more.
      for (const [other, one] of versions)
        if (one.guards !== null && other !== version)
          versions.set(other, { ...one, state: 'retired', since: record, guards: null });
      if (champion !== null && champion.version !== version)
        versions.set(champion.version, {
          ...champion,
          state: former ?? 'retired',
          since: record,
          guards: former === 'challenger' ? version : null,
        });
      champion = next;
    }
    versions.set(version, next);
  }
  return {
    model,
    changes,
    superseded,
    versions: [...versions.values()].sort((a, b) => a.version - b.version),
    champion,
  };
}

/** Every model that the log speaks of, by name. */
export function historiesOf(log: readonly ModelVersion[]): readonly ModelHistory[] {
  const names = [...new Set(log.map(({ model }) => model))].sort();
  return names.map((model) => historyOf(model, log));
}

interface Turn {
  readonly version: number;
  readonly state: ModelState;
  readonly from: number;
}

/** What each change makes of which version, from which event time; later turns override earlier ones. */
function turnsOf(changes: readonly ModelVersion[]): Turn[] {
  const turns: Turn[] = [];
  let champion: number | null = null;
  let guard: number | null = null;
  for (const { version, state, former, effectiveFrom } of changes) {
    const from = effectiveFrom ?? Number.NEGATIVE_INFINITY;
    if (state === 'champion') {
      if (guard !== null && guard !== version) turns.push({ version: guard, state: 'retired', from });
      guard = null;
      if (champion !== null && champion !== version) {
        turns.push({ version: champion, state: former ?? 'retired', from });
        if (former === 'challenger') guard = champion;
      }
      champion = version;
    } else if (version === guard) guard = null;
    turns.push({ version, state, from });
  }
  return turns;
}

/**
 * The timeline: a request at event time t is answered by the version last made champion among the changes that hold from t
 * or earlier, and scored beside it by those that are challengers at t. A change without an event time holds for all.
 *
 * @param usable versions that can score; a champion that cannot is passed over for the one before it.
 */
export function timelineOf(
  { changes }: ModelHistory,
  usable: (version: number) => boolean = () => true,
): readonly Stretch[] {
  const turns = turnsOf(changes).filter(({ version }) => usable(version));
  const starts = [...new Set([Number.NEGATIVE_INFINITY, ...turns.map(({ from }) => from)])].sort(
    (a, b) => a - b,
  );
  return starts.map((from): Stretch => {
    const states = new Map<number, ModelState>();
    let champion: number | null = null;
    for (const turn of turns) {
      if (turn.from > from) continue;
      states.set(turn.version, turn.state);
      if (turn.state === 'champion') champion = turn.version;
    }
    const shadows = [...states].flatMap(([version, state]) =>
      state === 'challenger' && version !== champion ? [version] : [],
    );
    return { from, champion, shadows: shadows.sort((a, b) => a - b) };
  });
}

/** The stretch that a moment of event time lies in. */
export function stretchAt<S extends { readonly from: number }>(timeline: readonly S[], time: number): S {
  let low = 0;
  let high = timeline.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((timeline[middle] as S).from <= time) low = middle;
    else high = middle - 1;
  }
  return timeline[low] as S;
}
