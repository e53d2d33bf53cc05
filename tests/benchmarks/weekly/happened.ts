import type { LoopReport } from '../../../cli/loop-report.ts';
import type { ModelHistory } from '../../../infrastructure/registry/history.ts';
import type { ModelVersion } from '../../../schemas/records/model-version.ts';

/** Something that befell a version, at the event time from which it holds. */
export interface Happened {
  /** Epoch ms. */
  readonly at: number;
  readonly kind: 'shadows' | 'promoted' | 'refused' | 'rolled back' | 'guard ended' | 'failed' | 'changed';
  /** Null where no version was registered. */
  readonly version: number | null;
  /** For a table. */
  readonly short: string;
  readonly by: string;
  /** As the registry or the pipeline's run has it. */
  readonly sentence: string;
}

export interface Promotion {
  readonly at: number;
  readonly version: number;
  /** The champion before it. */
  readonly before: number;
}

type Runs = LoopReport['runs'];

/** What the registry and the runs of the pipelines say happened to a model, in the order of event time. */
export function happenedTo(history: ModelHistory, runs: Runs): readonly Happened[] {
  const causes = new Map(runs.map(({ id, cause }) => [id, cause]));
  let champion: number | null = null;
  const said = history.changes.flatMap((change): Happened[] => {
    const first = champion === null;
    if (change.state === 'champion') champion = change.version;
    return first ? [] : [ofChange(change, causes)];
  });
  return [...said, ...runs.flatMap(ofRun)].sort((a, b) => a.at - b.at);
}

/** Each time that a test, or a hand, put a version in the place of another. A rollback is none. */
export function promotionsOf(history: ModelHistory): readonly Promotion[] {
  const promotions: Promotion[] = [];
  let champion: number | null = null;
  for (const change of history.changes) {
    if (change.state !== 'champion') continue;
    if (champion !== null && !isRollback(change))
      promotions.push({ at: timeOf(change), version: change.version, before: champion });
    champion = change.version;
  }
  return promotions;
}

function ofChange(change: ModelVersion, causes: ReadonlyMap<string, string>): Happened {
  const { version, by, reason: sentence, state } = change;
  const { test, code = '' } = evidenceOf(change);
  const draft = { at: timeOf(change), version, by, sentence };
  if (isRollback(change))
    return { ...draft, kind: 'rolled back', short: `rolled back to v${version}: ${code}` };
  if (state === 'champion') return { ...draft, kind: 'promoted', short: `v${version} promoted` };
  if (state === 'challenger') {
    const alert = causes.get(change.run ?? '')?.startsWith('alert ') === true ? ', after an alert' : '';
    return { ...draft, kind: 'shadows', short: `v${version} shadows${alert}` };
  }
  if (state === 'retired' && test === 'shadow')
    return { ...draft, kind: 'refused', short: `v${version} refused in shadow: ${code}` };
  if (state === 'retired' && test === 'guard')
    return { ...draft, kind: 'guard ended', short: `guard v${version} retired` };
  return { ...draft, kind: 'changed', short: `v${version} ${state}` };
}

/** Runs that registered nothing leave no trace in the registry. */
function ofRun({ id, eventTime: at, state, steps }: Runs[number]): Happened[] {
  const draft = { at, version: null, by: id };
  const gate = steps.find(({ step }) => step === 'gate');
  const { pass, sentence, evidence } = parse(gate?.result) as GateResult;
  if (pass === false) {
    const codes = (evidence?.objections ?? []).map(({ code }) => code).join(', ');
    return [{ ...draft, kind: 'refused', short: `refused at the gate: ${codes}`, sentence: sentence ?? '' }];
  }
  const broken = steps.find((step) => step.state === 'failed' || step.state === 'cancelled');
  if (broken === undefined) return [];
  const short = `${state} at ${broken.step}`;
  return [{ ...draft, kind: 'failed', short, sentence: broken.error }];
}

interface GateResult {
  readonly pass?: boolean;
  readonly sentence?: string;
  readonly evidence?: { readonly objections?: ReadonlyArray<{ readonly code: string }> };
}

const isRollback = (change: ModelVersion) =>
  change.state === 'champion' && evidenceOf(change).test === 'guard';

/** A change that holds at once has no event time; where in the table it belongs nobody knows, so it comes first. */
const timeOf = ({ effectiveFrom }: ModelVersion) => effectiveFrom ?? Number.NEGATIVE_INFINITY;

const evidenceOf = ({ evidence }: ModelVersion) =>
  parse(evidence) as { readonly test?: string; readonly code?: string };

function parse(json: string | undefined): object {
  const value: unknown = json === undefined || json === '' ? {} : JSON.parse(json);
  return typeof value === 'object' && value !== null ? value : {};
}
