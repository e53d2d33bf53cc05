import type { Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import { changeId, fingerprintOf } from '../../models/alerting/identity.ts';
import { SOURCE_PAUSED_RULE } from '../../schemas/alert.ts';
import type { Clock } from '../../schemas/clock.ts';
import { keys, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { MillraceError } from '../../schemas/refusal.ts';
import { DAY } from '../../schemas/time.ts';
import type { Codecs } from '../runtime/codecs.ts';
import { isTorn, keyCommit } from '../runtime/state.ts';

/** A source is paused: too many of its records were refused. */
export class SourcePaused extends MillraceError {
  readonly code = 'source_paused';
  readonly retriable = false;
}

/** Why a source is paused, as the online store has it. */
export interface Pause {
  /** Wall time, epoch ms. */
  readonly since: number;
  /** How many records were refused, in how long (ms), and with what the next one would have been. */
  readonly rejects: number;
  readonly within: number;
  readonly code: string;
  readonly detail: string;
  /** Hash of the declarations that refused them. */
  readonly declared: string;
}

export interface PauseDeps {
  readonly project: Pick<Project, 'prefix' | 'hash'>;
  readonly kafka: Pick<Kafka, 'producer'>;
  readonly store: Pick<OnlineStore, 'read' | 'commit'>;
  readonly codecs: Pick<Codecs, 'alerts'>;
  readonly clock: Pick<Clock, 'now'>;
}

const TTL_MS = 400 * DAY;
const FORMAT = 1;

/** What the store has of a source. */
interface Known {
  readonly bytes: Uint8Array | null;
  readonly pause: Pause | null;
  /** Times that it was paused or went on: the number of the alert's last change. */
  readonly changes: number;
}

async function read(
  { project, store }: Pick<PauseDeps, 'project' | 'store'>,
  names: readonly string[],
): Promise<Known[]> {
  const found = await store.read(names.map((name) => [keys.pause(project.prefix, name)]));
  return found.map(([bytes = null]) => {
    if (bytes === null || isTorn(bytes)) return { bytes, pause: null, changes: 0 };
    const { pause, changes } = JSON.parse(Buffer.from(bytes).toString()) as Omit<Known, 'bytes'>;
    return { bytes, pause, changes };
  });
}

/** False where somebody else has set it meanwhile. */
async function set(
  { project, store }: PauseDeps,
  source: string,
  { bytes, changes }: Known,
  pause: Pause | null,
): Promise<boolean> {
  const next = Buffer.from(JSON.stringify({ format: FORMAT, pause, changes: changes + 1 }));
  const [result] = await store.commit([keyCommit(keys.pause(project.prefix, source), bytes, next, TTL_MS)]);
  return result?.status === 'committed';
}

/** The pauses of some sources, by name. Throws StoreError. */
export async function readPauses(
  deps: Pick<PauseDeps, 'project' | 'store'>,
  names: readonly string[],
): Promise<ReadonlyMap<string, Pause>> {
  const known = await read(deps, names);
  return new Map(
    names.flatMap((name, i) => {
      const pause = known[i]?.pause ?? null;
      return pause === null ? [] : [[name, pause] as const];
    }),
  );
}

/** Pauses a source for every process of ingest, and alerts; where it is paused already nothing changes. Throws StoreError, KafkaError. */
export async function pauseSource(deps: PauseDeps, source: string, pause: Pause): Promise<void> {
  for (;;) {
    const [known] = await read(deps, [source]);
    if (known === undefined || known.pause !== null) return;
    const summary = sentenceOf(source, pause);
    // The alert first: whoever fails behind it makes the same one again, with the same id.
    await tell(deps, alertOf(source, pause, 'firing', known.changes + 1, { summary, now: deps.clock.now() }));
    if (await set(deps, source, known, pause)) return;
  }
}

/** Lets a source be read on, and says that the alert is over. Null where it was not paused. Throws StoreError, KafkaError. */
export async function resumeSource(deps: PauseDeps, source: string, why: string): Promise<Pause | null> {
  for (;;) {
    const [known] = await read(deps, [source]);
    const pause = known?.pause ?? null;
    if (known === undefined || pause === null) return null;
    const summary = `The source ${source} goes on: ${why}`;
    await tell(
      deps,
      alertOf(source, pause, 'resolved', known.changes + 1, { summary, now: deps.clock.now() }),
    );
    if (await set(deps, source, known, null)) return pause;
  }
}

export function sentenceOf(source: string, { rejects, within, code, detail }: Pause): string {
  return `The source ${source} is paused: ${rejects} of its records were refused within ${within / 1_000} s, and the next one would be (${code}: ${detail}). Nothing of it is lost or read. Mend its declaration and 'millrace apply' it, or its producer; 'millrace sources resume ${source}' reads on as it is.`;
}

function alertOf(
  source: string,
  pause: Pause,
  state: 'firing' | 'resolved',
  change: number,
  { summary, now }: { readonly summary: string; readonly now: number },
): Alert {
  const fingerprint = fingerprintOf({ rule: SOURCE_PAUSED_RULE, model: '', subject: source, slice: '' });
  return {
    format: 1,
    id: changeId(fingerprint, change),
    fingerprint,
    change,
    rule: SOURCE_PAUSED_RULE,
    severity: 'page',
    state,
    kind: 'data',
    statistic: 'rejects',
    model: '',
    version: 0,
    subject: source,
    slice: '',
    value: pause.rejects,
    threshold: pause.rejects,
    summary,
    tick: state === 'firing' ? pause.since : now,
    startedAt: pause.since,
    firedAt: pause.since,
    endedAt: state === 'resolved' ? now : null,
    at: now,
  };
}

/** A repeat has the same id, and is dropped by whoever reads. */
async function tell({ project, kafka, codecs }: PauseDeps, alert: Alert): Promise<void> {
  const producer = await kafka.producer();
  try {
    const key = Buffer.from(alert.fingerprint);
    await producer.send([
      { topic: topics.alerts(project.prefix), partition: 0, key, value: codecs.alerts.encode(alert) },
    ]);
  } finally {
    await producer.close();
  }
}
