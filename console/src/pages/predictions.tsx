import { useEffect, useMemo, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { address } from '../lib/api.ts';
import { useEvents, whileApart } from '../lib/events.ts';
import { plural } from '../lib/format.ts';
import { useProject } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import type { Prediction } from '../lib/types.ts';
import { Empty, Loaded, PageHead, Panel } from '../parts/basics.tsx';
import { LiveState } from '../parts/live.tsx';
import { LongTable } from '../parts/long-table.tsx';
import { PREDICTION_COLUMNS } from '../parts/prediction-columns.tsx';

const SHOWN = 500;
/** Nobody reads more, and a browser that takes thousands a second does nothing else. */
const MOST_A_SECOND = 50;
/** The archive has an answer so long after it was given, ms. */
const ARCHIVED_MS = 1_500;

/** Why did it say so? Here: what it said, the newest first. */
export function Predictions({ model: named }: { readonly model?: string | undefined }) {
  const project = useProject();
  const [, go] = useLocation();
  const [search, setSearch] = useSearchParams();
  const [live, setLive] = useState(true);
  const model = named ?? project.models[0]?.model;
  const [answer, entity] = [
    answerOf(search.get('answer') ?? search.get('status')),
    search.get('entity') ?? '',
  ];
  const path =
    model === undefined
      ? null
      : address(`/v1/models/${encodeURIComponent(model)}/predictions`, {
          ...ANSWERS[answer],
          entity,
          limit: SHOWN,
        });
  const tail = useTail(live ? (model ?? null) : null, answer, entity);
  const found = useResource<{ predictions: Prediction[] }>(
    path,
    live ? whileApart(tail.following, 1_500) : null,
  );
  // What came between the first look and the beginning of the stream, once the archive has it.
  const { reload } = found;
  useEffect(() => {
    if (tail.following !== 'live') return;
    const looking = window.setTimeout(reload, ARCHIVED_MS);
    return () => window.clearTimeout(looking);
  }, [tail.following, reload]);
  const filter = (change: Record<string, string>) =>
    setSearch(
      Object.fromEntries(Object.entries({ answer, entity, ...change }).filter(([, value]) => value !== '')),
      { replace: true },
    );

  if (model === undefined) return <Empty>The project declares no model yet.</Empty>;
  return (
    <>
      <PageHead title="Predictions" question="What did it say, and why?">
        {live && <LiveState following={tail.following} />}
        <label className="switch">
          <input type="checkbox" checked={live} onChange={(event) => setLive(event.target.checked)} /> follow
        </label>
      </PageHead>
      <Panel title={model} note="The newest requests first, by event time. Open one to see why.">
        <form className="filters" onSubmit={(event) => event.preventDefault()}>
          {project.models.length > 1 && (
            <label>
              model
              <select
                value={model}
                onChange={(event) => go(`/predictions/${encodeURIComponent(event.target.value)}`)}
              >
                {project.models.map(({ model: name }) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          )}
          <label>
            answer
            <select value={answer} onChange={(event) => filter({ answer: event.target.value })}>
              <option value="">all</option>
              <option value="yes">yes</option>
              <option value="no">no</option>
              <option value="refused">refused</option>
            </select>
          </label>
          <label>
            read this entity
            <input
              type="search"
              defaultValue={entity}
              onChange={(event) => filter({ entity: event.target.value.trim() })}
            />
          </label>
        </form>
        <Loaded of={found}>
          {({ predictions: archived }) => {
            const predictions = newestFirst(archived, tail.predictions);
            return (
              <>
                {tail.skipped && (
                  <p className="muted" role="status">
                    More come than can be read: {MOST_A_SECOND} a second are shown as they come.
                  </p>
                )}
                <Scores predictions={predictions} />
                {predictions.length === 0 ? (
                  <Empty>
                    Nothing of the kind in the archive. It is there some hundred ms after an answer.
                  </Empty>
                ) : (
                  <LongTable
                    label={`Predictions of ${model}`}
                    columns={PREDICTION_COLUMNS}
                    widths="minmax(8rem, 2fr) 8rem minmax(6rem, 1fr) 11rem 5rem"
                    rows={predictions}
                    id={({ id }) => id}
                    onOpen={({ id }) =>
                      go(`/predictions/${encodeURIComponent(model)}/${encodeURIComponent(id)}`)
                    }
                  />
                )}
              </>
            );
          }}
        </Loaded>
      </Panel>
    </>
  );
}

/** What may be asked for, as the API takes it. */
const ANSWERS = {
  '': {},
  yes: { decision: 'yes' },
  no: { decision: 'no' },
  refused: { status: 'refused' },
} as const;
type Answer = keyof typeof ANSWERS;

const answerOf = (text: string | null): Answer =>
  text !== null && Object.hasOwn(ANSWERS, text) ? (text as Answer) : '';

function isOf(answer: Answer, { status, decision }: Pick<Prediction, 'status' | 'decision'>): boolean {
  if (answer === '') return true;
  return answer === 'refused' ? status === 'refused' : decision === (answer === 'yes');
}

interface Told {
  readonly requestId: string;
  readonly sourcePartition: number;
  readonly sourceOffset: number;
  readonly reads: ReadonlyArray<{ readonly entity: string }>;
}
type Followed = Omit<Prediction, 'partition' | 'offset'> & Told;

/** Answers as they come, of the kind that is wanted. */
function useTail(model: string | null, answer: Answer, entity: string) {
  const [told, setTold] = useState<{ readonly of: string; readonly predictions: readonly Prediction[] }>({
    of: '',
    predictions: [],
  });
  const [skipped, setSkipped] = useState(false);
  const of = JSON.stringify([model, answer, entity]);
  const path =
    model === null
      ? null
      : address(`/v1/streams/predictions/${encodeURIComponent(model)}`, { most: MOST_A_SECOND });
  const following = useEvents<Followed>(path, 'prediction skipped', (events) => {
    const wanted = events
      .flatMap(({ event, data }) => (event === 'prediction' ? [data] : []))
      .filter((one) => isOf(answer, one))
      .filter((one) => entity === '' || one.reads.some((read) => read.entity === entity))
      .map(({ sourcePartition, sourceOffset, reads: _, ...one }) => ({
        ...one,
        partition: sourcePartition,
        offset: sourceOffset,
      }));
    setSkipped(events.some(({ event }) => event === 'skipped'));
    setTold((before) => ({
      of,
      predictions: [...(before.of === of ? before.predictions : []), ...wanted].slice(-SHOWN),
    }));
  });
  return { following, skipped, predictions: told.of === of ? told.predictions : [] };
}

/** Each once, the newest request first. */
function newestFirst(archived: readonly Prediction[], told: readonly Prediction[]): readonly Prediction[] {
  const all = new Map([...told, ...archived].map((one) => [one.id, one]));
  return [...all.values()]
    .sort((a, b) => b.requestTime - a.requestTime || (a.id < b.id ? -1 : 1))
    .slice(0, SHOWN);
}

const BINS = 20;

/** How the scores in sight are spread. */
function Scores({ predictions }: { readonly predictions: readonly Prediction[] }) {
  const { bins, scored } = useMemo(() => {
    const counts = new Array<number>(BINS).fill(0);
    let some = 0;
    for (const { score } of predictions) {
      if (score === null) continue;
      const bin = Math.min(BINS - 1, Math.floor(score * BINS));
      counts[bin] = (counts[bin] ?? 0) + 1;
      some += 1;
    }
    return { bins: counts, scored: some };
  }, [predictions]);
  if (scored === 0) return null;
  const most = Math.max(...bins);
  return (
    <figure className="spread">
      <svg
        viewBox={`0 0 ${BINS * 10} 40`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Scores from 0 to 1 in ${BINS} steps`}
      >
        {bins.map((count, i) => (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: a step of the scale is its place
            key={i}
            x={i * 10 + 1}
            width={8}
            y={40 - (count / most) * 38}
            height={(count / most) * 38}
          >
            <title>
              {(i / BINS).toFixed(2)} to {((i + 1) / BINS).toFixed(2)}: {count}
            </title>
          </rect>
        ))}
      </svg>
      <figcaption className="muted">scores of the last {plural(scored, 'answer')}, from 0 to 1</figcaption>
    </figure>
  );
}
