import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { topics } from '../../../schemas/names.ts';
import { ApiProblem } from '../lib/api.ts';
import { number, span } from '../lib/format.ts';
import { useProject } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import type { Explanation, RawRecord } from '../lib/types.ts';
import { Badge, Figure, Loaded, PageHead, Panel, Time } from '../parts/basics.tsx';
import { Inputs } from '../parts/inputs.tsx';
import { RecordBytes } from '../parts/record-bytes.tsx';
import { Table } from '../parts/table.tsx';

/** The archive has an answer so long after it was given, ms; later where it is behind. */
const ASK_AGAIN_MS = 1_500;

/** Why did it say so? One prediction with every input. */
export function OnePrediction({ model, id }: { readonly model: string; readonly id: string }) {
  const path = `/v1/models/${encodeURIComponent(model)}/predictions/${encodeURIComponent(id)}`;
  const [coming, setComing] = useState(false);
  const found = useResource<Explanation>(path, coming ? ASK_AGAIN_MS : null);
  const missing = found.error instanceof ApiProblem && found.error.code === 'unknown_prediction';
  useEffect(() => setComing(missing && found.data === null), [missing, found.data]);
  return (
    <>
      <PageHead title={`Prediction of ${model}`} question="Why did it say so?">
        <Link href={`/predictions/${encodeURIComponent(model)}`}>All predictions</Link>
      </PageHead>
      {coming && (
        <p className="muted" role="status">
          An answer that was just given is in the archive a moment later: the page asks again by itself.
        </p>
      )}
      <Loaded of={found}>{(one) => <Explained one={one} />}</Loaded>
    </>
  );
}

function Explained({ one }: { readonly one: Explanation }) {
  return (
    <>
      <Panel title={one.requestId} note={<Origin one={one} />}>
        <div className="figures">
          <Figure
            name="answer"
            value={one.status === 'refused' ? `refused: ${one.reason}` : one.decision ? 'yes' : 'no'}
            tone={one.status === 'refused' ? 'warn' : 'accent'}
            note={one.threshold === null ? undefined : `yes from ${number(one.threshold)} on`}
          />
          <Figure name="score" value={one.score === null ? '–' : one.score.toFixed(4)} />
          <Figure
            name="what came"
            value={one.outcome === null ? 'not known yet' : one.outcome.label ? 'yes' : 'no'}
            tone={wrong(one) ? 'bad' : 'plain'}
            note={one.outcome === null ? undefined : <Came one={one} at={one.outcome.at} />}
          />
          <Figure name="event time" value={<Time at={one.requestTime} />} />
          <Figure name="version" value={one.modelVersion === 0 ? '–' : one.modelVersion} />
          <Figure
            name="computed again now"
            value={one.recomputed === null ? '–' : one.recomputed.toFixed(4)}
            note={one.same === null ? undefined : one.same ? 'the same to the last bit' : 'another value'}
            tone={one.same === false ? 'bad' : 'plain'}
          />
        </div>
        <TimeTaken ms={one.ms} />
      </Panel>
      <div className="two wide-first">
        <Inputs one={one} />
        <div>
          <Panel title="What it read" note="Features come from entities, as of an edge in event time.">
            <Table
              label="Reads"
              columns={[
                { name: 'read', show: ({ read }) => read },
                {
                  name: 'entity',
                  show: ({ view, entity }) => (
                    <Link
                      href={`/entities?view=${encodeURIComponent(view.split('@')[0] ?? view)}&entity=${encodeURIComponent(entity)}`}
                    >
                      {entity.replaceAll('|', ', ')}
                    </Link>
                  ),
                },
                { name: 'as of', show: ({ asOf }) => <Time at={asOf} /> },
                { name: 'age', figure: true, show: ({ ageMs }) => span(ageMs) },
              ]}
              rows={one.reads}
              id={({ read }) => read}
            />
          </Panel>
          {one.beside.length > 0 && (
            <Panel title="What other versions said" note="Scored in the shadow, from the same inputs.">
              <Table
                label="Other versions"
                columns={[
                  { name: 'version', show: ({ version }) => version },
                  {
                    name: 'score',
                    figure: true,
                    show: ({ score, reason }) =>
                      score === null ? <Badge tone="warn">{reason}</Badge> : score.toFixed(4),
                  },
                ]}
                rows={one.beside}
                id={({ id }) => id}
              />
            </Panel>
          )}
          <Sql sql={one.sql} />
        </div>
      </div>
      <AsSent one={one} />
    </>
  );
}

const wrong = ({ decision, outcome }: Explanation): boolean =>
  decision !== null && outcome !== null && decision !== outcome.label;

function Came({ one, at }: { readonly one: Explanation; readonly at: number }) {
  const said = one.decision === null ? '' : wrong(one) ? 'the answer was wrong; ' : 'the answer was right; ';
  return (
    <>
      {said}known {span(at - one.requestTime)} after it was asked
    </>
  );
}

function Origin({ one }: { readonly one: Explanation }) {
  const { topic, partition, offset } = one.source;
  return (
    <>
      Asked by <code>{topic}</code>, partition {partition}, <a href={`#${RECORD}`}>offset {offset}</a>.
    </>
  );
}

/** Where the record stands on the page. */
const RECORD = 'record';

/** The record that asked, as its producer sent it. What was asked over HTTP has none. */
function AsSent({ one }: { readonly one: Explanation }) {
  const { models, prefix } = useProject();
  const source = models.find(({ model }) => model === one.model)?.request.source ?? '';
  const { topic, partition, offset } = one.source;
  const sent = topic !== topics.asked(prefix, one.model) && offset >= 0;
  const found = useResource<RawRecord>(
    sent ? `/v1/sources/${encodeURIComponent(source)}/records/${partition}/${offset}` : null,
  );
  if (!sent) return null;
  return (
    <Panel id={RECORD} title="The record that asked" note="As its producer sent it, from the raw topic.">
      <Loaded of={found}>
        {({ value, appendTime }) => (
          <>
            <p className="muted">
              Arrived <Time at={appendTime} />.
            </p>
            {value !== null && <RecordBytes place={`${partition}:${offset}`} value={value} />}
          </>
        )}
      </Loaded>
    </Panel>
  );
}

const PARTS = [
  ['gate', 'waited for its features'],
  ['read', 'read them'],
  ['score', 'scored'],
] as const;

function TimeTaken({ ms }: { readonly ms: Explanation['ms'] }) {
  return (
    <p className="muted">
      {PARTS.map(([part, said]) => `${said} ${span(ms[part])}`).join(' · ')} · from the event's arrival to the
      prediction {span(ms.total)}
    </p>
  );
}

function Sql({ sql }: { readonly sql: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <Panel
      title="Ask ClickHouse yourself"
      actions={
        <button
          type="button"
          onClick={() => void navigator.clipboard.writeText(sql).then(() => setCopied(true))}
        >
          {copied ? 'Copied' : 'Copy'}
        </button>
      }
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre tabIndex={0}>{sql}</pre>
    </Panel>
  );
}
