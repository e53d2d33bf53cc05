import { useMemo } from 'react';
import { Link } from 'wouter';
import { useFollowed } from '../lib/events.ts';
import { number, rate } from '../lib/format.ts';
import { useResource } from '../lib/resource.ts';
import { headline, streamId, type Trouble, troublesOf } from '../lib/troubles.ts';
import type {
  Alert,
  Health,
  LetterCount,
  PipelineRun,
  Silence,
  StreamFigures,
  TopicFigures,
  Topology,
} from '../lib/types.ts';
import { Badge, Failure, Loaded, PageHead, Panel } from '../parts/basics.tsx';
import { FlowPicture } from '../parts/flow-picture.tsx';
import { LiveState } from '../parts/live.tsx';
import { type Column, Table } from '../parts/table.tsx';

/** Figures come every two seconds. */
const FOLLOW = { every: 2_000, silenceMs: 10_000 };

/** Is it running, and is it right? */
export function Flow() {
  const topology = useFollowed<Topology>('/v1/topology', '/v1/streams/topology', 'topology', FOLLOW);
  const health = useResource<Health>('/health', 5_000);
  const alerts = useResource<{ alerts: Alert[] }>('/v1/alerts?state=firing', 10_000);
  const silences = useResource<{ silences: Silence[] }>('/v1/silences', 10_000);
  const runs = useResource<{ runs: PipelineRun[] }>('/v1/pipeline-runs?limit=30', 10_000);
  const letters = useResource<{ reasons: LetterCount[] }>('/v1/dead-letters', 10_000);

  const troubles = useMemo(
    () =>
      troublesOf({
        topology: topology.data,
        health: health.data,
        alerts: alerts.data?.alerts ?? [],
        silences: silences.data?.silences ?? [],
        letters: letters.data?.reasons ?? [],
        runs: runs.data?.runs ?? [],
        now: Date.now(),
      }),
    [topology.data, health.data, alerts.data, silences.data, letters.data, runs.data],
  );

  return (
    <>
      <PageHead title="Flow" question="Is it running, and is it right?">
        <LiveState following={topology.following} />
      </PageHead>
      <p className={`headline ${worst(troubles)}`} role="status">
        {headline(topology.data, troubles)}
      </p>
      {health.error !== null && health.data === null && topology.data !== null && (
        <Failure error={health.error} />
      )}
      {troubles.length > 0 && (
        <ul className="troubles">
          {troubles.map(({ level, what, mend, link }) => (
            <li key={what} className={level}>
              <strong>{what}</strong> <span>{link === null ? mend : <Link href={link}>{mend}</Link>}</span>
            </li>
          ))}
        </ul>
      )}
      <Loaded of={topology}>
        {(data) => (
          <>
            <Panel
              title="From event to prediction"
              note="Boxes are topics, pills are streams. Records a second; what waits is on the arrow."
            >
              <FlowPicture topology={data} marked={markedOf(troubles)} />
            </Panel>
            <div className="two">
              <Panel title="Streams">
                <Table label="Streams" columns={STREAM_COLUMNS} rows={data.streams} id={streamId} />
              </Panel>
              <Panel title="Topics">
                <Table label="Topics" columns={TOPIC_COLUMNS} rows={data.topics} id={({ topic }) => topic} />
              </Panel>
            </div>
          </>
        )}
      </Loaded>
    </>
  );
}

const worst = (troubles: readonly Trouble[]): string =>
  troubles.length === 0 ? 'good' : (troubles[0]?.level ?? 'warn');

const markedOf = (troubles: readonly Trouble[]): ReadonlyMap<string, Trouble['level']> =>
  new Map(troubles.flatMap(({ at, level }) => (at === null ? [] : [[at, level] as const])));

const STREAM_COLUMNS: ReadonlyArray<Column<StreamFigures>> = [
  { name: 'stream', show: (one) => streamId(one) },
  {
    name: 'waits',
    figure: true,
    show: ({ reads }) => {
      const known = reads.flatMap(({ lag }) => (lag === null ? [] : [lag]));
      if (known.length === 0) return <Badge>never ran</Badge>;
      return number(known.reduce((total, lag) => total + lag, 0));
    },
  },
];

const TOPIC_COLUMNS: ReadonlyArray<Column<TopicFigures>> = [
  { name: 'topic', show: ({ topic }) => <code>{topic}</code> },
  { name: 'records', figure: true, show: ({ records }) => number(records) },
  { name: 'now', figure: true, show: ({ perSecond }) => rate(perSecond) },
];
