import { useState } from 'react';
import { Link } from 'wouter';
import { post } from '../lib/api.ts';
import { useEvents, whileApart } from '../lib/events.ts';
import { number, plural } from '../lib/format.ts';
import { useMayChange } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import { silenceOf } from '../lib/silences.ts';
import type { Alert, Silence } from '../lib/types.ts';
import { Badge, Empty, Loaded, PageHead, Panel, Time, type Tone } from '../parts/basics.tsx';
import { LiveState } from '../parts/live.tsx';
import { ReasonDialog } from '../parts/reason-dialog.tsx';
import { Table } from '../parts/table.tsx';
import { Held, SilenceDialog, Silences } from './alerts/silences.tsx';

const TONES: Readonly<Record<Alert['state'], Tone>> = { firing: 'bad', pending: 'warn', resolved: 'plain' };

/** The list is read from the archive, which has a change so long after it was told, ms. */
const ARCHIVED_MS = 1_000;

/** What fired, and who looks after it? */
export function Alerts() {
  const following = useEvents('/v1/streams/alerts', 'alert', () =>
    window.setTimeout(() => alerts.reload(), ARCHIVED_MS),
  );
  const alerts = useResource<{ alerts: Alert[] }>('/v1/alerts', whileApart(following, 5_000));
  const silences = useResource<{ silences: Silence[] }>('/v1/silences', 10_000);
  const may = useMayChange();
  const [asked, setAsked] = useState<Alert | null>(null);
  const [quiet, setQuiet] = useState<Alert | null>(null);
  return (
    <>
      <PageHead title="Alerts" question="What fired, and who looks after it?">
        <LiveState following={following} />
      </PageHead>
      <Panel title="Alerts" note="As they stand; those that fire first.">
        <Loaded of={alerts}>
          {({ alerts: all }) =>
            all.length === 0 ? (
              <Empty>Nothing fired so far.</Empty>
            ) : (
              <>
                <p className="muted">
                  {plural(all.filter(({ state }) => state === 'firing').length, 'alert fires', 'alerts fire')}
                  , of {all.length} that ever did.
                </p>
                <Table
                  label="Alerts"
                  columns={[
                    { name: 'state', show: ({ state }) => <Badge tone={TONES[state]}>{state}</Badge> },
                    {
                      name: 'what',
                      show: ({ summary, rule, model }) => (
                        <>
                          <strong>{summary}</strong> <span className="muted">{rule}</span>{' '}
                          {model !== '' && (
                            <Link href={`/models/${encodeURIComponent(model)}`}>see {model}</Link>
                          )}
                        </>
                      ),
                    },
                    { name: 'value', figure: true, show: ({ value }) => number(value) },
                    { name: 'threshold', figure: true, show: ({ threshold }) => number(threshold) },
                    {
                      name: 'since (event time)',
                      show: ({ firedAt, startedAt }) => <Time at={firedAt ?? startedAt} />,
                    },
                    { name: 'until', show: ({ endedAt }) => <Time at={endedAt} /> },
                    {
                      name: 'look after',
                      show: (alert) => (
                        <>
                          <Held silence={silenceOf(alert, silences.data?.silences ?? [])} />
                          {may && (
                            <span className="actions">
                              {alert.state !== 'resolved' && (
                                <button type="button" onClick={() => setAsked(alert)}>
                                  Acknowledge
                                </button>
                              )}
                              <button type="button" onClick={() => setQuiet(alert)}>
                                Silence
                              </button>
                            </span>
                          )}
                        </>
                      ),
                    },
                  ]}
                  rows={all.slice(0, 200)}
                  id={({ fingerprint }) => fingerprint}
                />
              </>
            )
          }
        </Loaded>
      </Panel>
      <Silences of={silences} />
      {asked !== null && (
        <ReasonDialog
          title="Look after this alert"
          about={`${asked.summary}. Nobody is told of it again for four hours.`}
          doIt="Acknowledge"
          perform={(reason) =>
            post(`/v1/alerts/${encodeURIComponent(asked.fingerprint)}/acknowledge`, {
              reason,
              for: '4h',
            }).then(() => {
              alerts.reload();
              silences.reload();
            })
          }
          close={() => setAsked(null)}
        />
      )}
      {quiet !== null && <SilenceDialog alert={quiet} done={silences.reload} close={() => setQuiet(null)} />}
    </>
  );
}
