import { ago, number, plural, time } from './format.ts';
import { silenceOf } from './silences.ts';
import type { Alert, Health, LetterCount, PipelineRun, Silence, Topology } from './types.ts';

/** One thing that is not as it should be: what it is, and what to do. */
export interface Trouble {
  readonly level: 'bad' | 'warn';
  readonly what: string;
  readonly mend: string;
  /** Page of the console that tells more. */
  readonly link: string | null;
  /** Stream or topic that it is about, to be marked in the picture. */
  readonly at: string | null;
  /** Somebody looks after it already. */
  readonly held?: boolean;
}

/** A stream that would need longer than this to come to the end is behind, s. */
const BEHIND_S = 10;
/** Fewer records than this are no lag worth a word. */
const FEW = 1_000;
/** A refusal is news for this long, ms. */
const NEWS_MS = 300_000;

export const streamId = ({ stream, of }: { readonly stream: string; readonly of: string }): string =>
  of === '' ? stream : `${stream} ${of}`;

/** What is wrong now, the worst first; empty where all is well. */
export function troublesOf(seen: {
  readonly topology: Topology | null;
  readonly health: Health | null;
  readonly alerts: readonly Alert[];
  readonly silences: readonly Silence[];
  readonly letters: readonly LetterCount[];
  /** Oldest first. */
  readonly runs: readonly PipelineRun[];
  readonly now: number;
}): readonly Trouble[] {
  const found = [
    ...(seen.health?.away ?? []).map(
      (what): Trouble => ({
        level: 'bad',
        what,
        mend: 'Start it again; nothing is lost meanwhile.',
        link: null,
        at: null,
      }),
    ),
    ...(seen.topology === null ? [] : behind(seen.topology)),
    ...seen.alerts
      .filter(({ state }) => state === 'firing')
      .map((alert) => firing(alert, silenceOf(alert, seen.silences))),
    ...failedRuns(seen.runs),
    ...refusals(seen.letters, seen.now),
  ];
  return [...found.filter(({ level }) => level === 'bad'), ...found.filter(({ level }) => level === 'warn')];
}

function behind({ topics, streams }: Topology): Trouble[] {
  const figures = new Map(topics.map((one) => [one.topic, one]));
  return streams.flatMap((stream): Trouble[] => {
    const id = streamId(stream);
    const read = stream.reads.map(({ topic, lag }) => ({ topic, lag, figures: figures.get(topic) }));
    const never = read.filter((one) => one.lag === null && (one.figures?.records ?? 0) > 0);
    if (never.length > 0 && never.length === read.length)
      return [
        {
          level: 'warn',
          what: `${id} has read nothing yet, and ${plural(sum(never.map((one) => one.figures?.records ?? 0)), 'record')} wait for it.`,
          mend: `Start it: millrace run ${stream.stream}.`,
          link: null,
          at: id,
        },
      ];
    const lag = sum(read.map((one) => one.lag ?? 0));
    // Until rates are measured nobody can say how long the rest takes.
    if (read.some((one) => one.figures !== undefined && one.figures.perSecond === null)) return [];
    const perSecond = sum(read.map((one) => one.figures?.perSecond ?? 0));
    if (lag < Math.max(FEW, perSecond * BEHIND_S)) return [];
    return [
      {
        level: 'bad',
        what: `${id} is ${plural(lag, 'record')} behind what comes in.`,
        mend: `If the figure falls it is working off a backlog. If not, see whether it runs: millrace run ${stream.stream}.`,
        link: null,
        at: id,
      },
    ];
  });
}

const firing = (alert: Alert, silence: Silence | undefined): Trouble => ({
  level: alert.severity === 'critical' ? 'bad' : 'warn',
  what: alert.summary,
  mend:
    silence === undefined
      ? 'See what fired, and say that you look after it.'
      : `${silence.by} looks after it until ${time(silence.until)}.`,
  held: silence !== undefined,
  link: '/alerts',
  at: null,
});

/** Runs that failed and wait for somebody, as long as no later run of their pipeline came to its end. */
function failedRuns(runs: readonly PipelineRun[]): Trouble[] {
  return runs.flatMap((run, i): Trouble[] => {
    const later = runs.slice(i + 1).filter(({ pipeline }) => pipeline === run.pipeline);
    if (run.state !== 'failed' || later.some(({ state }) => state === 'done' || state === 'refused'))
      return [];
    const step = run.steps.find(({ state }) => state === 'failed');
    return [
      {
        level: 'warn',
        what: `${run.id} failed${step === undefined ? '' : ` at ${step.step}`}.`,
        mend: 'See what it said, and let it go on.',
        link: '/pipelines',
        at: null,
      },
    ];
  });
}

const refused = ({ source, code, records, last }: LetterCount, now: number): Trouble => ({
  level: 'warn',
  what: `${source}: ${plural(records, 'record')} refused as ${code}, the last one ${ago(last, now)}.`,
  mend: 'Look at one of them.',
  link: `/dead-letters/${encodeURIComponent(source)}?code=${encodeURIComponent(code)}`,
  at: null,
});

/** Reasons of a source that are told one by one; of more the most frequent is named. */
const MOST_REASONS = 2;

function refusals(letters: readonly LetterCount[], now: number): Trouble[] {
  const news = letters.filter(({ last }) => now - last < NEWS_MS);
  const sources = [...new Set(news.map(({ source }) => source))];
  return sources.flatMap((source) => {
    const of = news.filter((one) => one.source === source).sort((a, b) => b.records - a.records);
    const [most] = of;
    if (most === undefined || of.length <= MOST_REASONS) return of.map((one) => refused(one, now));
    const last = Math.max(...of.map((one) => one.last));
    const records = sum(of.map((one) => one.records));
    return [
      {
        level: 'warn',
        what: `${source}: ${plural(records, 'record')} refused for ${of.length} reasons, most often ${most.code} (${number(most.records)}), the last one ${ago(last, now)}.`,
        mend: 'See the reasons, and look at one of them.',
        link: `/dead-letters/${encodeURIComponent(source)}`,
        at: null,
      },
    ];
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** One sentence for the top of the page. */
export function headline(topology: Topology | null, troubles: readonly Trouble[]): string {
  if (topology === null) return 'Looking …';
  const raw = topology.topics.filter(({ kind }) => kind === 'raw');
  const perSecond = sum(raw.map((one) => one.perSecond ?? 0));
  const records = sum(raw.map((one) => one.records));
  if (records === 0) return 'No event has come yet.';
  const flow = raw.every((one) => one.perSecond === null)
    ? 'It measures what comes in'
    : perSecond === 0
      ? 'Nothing comes in at the moment'
      : `${number(Math.round(perSecond))} events a second`;
  if (troubles.length === 0) return `${flow}; nothing is behind, nothing is wrong.`;
  const open = troubles.filter(({ held }) => held !== true).length;
  if (open === 0) return `${flow}; what is wrong is looked after.`;
  return `${flow}; ${plural(open, 'thing needs', 'things need')} a look.`;
}
