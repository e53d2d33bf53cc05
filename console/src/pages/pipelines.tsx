import { useState } from 'react';
import { address, post } from '../lib/api.ts';
import { causeOf } from '../lib/causes.ts';
import { useEvents, whileApart } from '../lib/events.ts';
import { span } from '../lib/format.ts';
import { useMayChange } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import type { Alert, Pipeline, PipelineRun } from '../lib/types.ts';
import { Badge, Empty, Loaded, PageHead, Panel, Time, type Tone } from '../parts/basics.tsx';
import { LiveState } from '../parts/live.tsx';
import { ReasonDialog } from '../parts/reason-dialog.tsx';
import { StepLine } from './pipelines/step-line.tsx';

/** Runs on the page. */
const SHOWN = 30;

interface Asked {
  readonly title: string;
  readonly about: string;
  readonly doIt: string;
  readonly path: string;
}

/** What is it doing about it? */
export function Pipelines() {
  const pipelines = useResource<{ pipelines: Pipeline[] }>('/v1/pipelines');
  const [changed, setChanged] = useState<readonly PipelineRun[]>([]);
  const following = useEvents<PipelineRun>('/v1/streams/pipelines', 'run', (events) =>
    setChanged((before) =>
      newestOf(
        before,
        events.map(({ data }) => data),
      ),
    ),
  );
  const runs = useResource<{ runs: PipelineRun[] }>(
    address('/v1/pipeline-runs', { limit: SHOWN }),
    whileApart(following, 2_000),
  );
  const alerts = useResource<{ alerts: Alert[] }>('/v1/alerts', 10_000);
  const may = useMayChange();
  const [asked, setAsked] = useState<Asked | null>(null);
  return (
    <>
      <PageHead title="Pipelines" question="What is it doing about it?">
        <LiveState following={following} />
      </PageHead>
      <Panel title="Declared">
        <Loaded of={pipelines}>
          {({ pipelines: all }) =>
            all.length === 0 ? (
              <Empty>The project declares no pipeline.</Empty>
            ) : (
              <ul className="rows">
                {all.map((one) => (
                  <li key={one.pipeline}>
                    <div>
                      <strong>{one.pipeline}</strong>{' '}
                      <span className="muted">
                        for {one.model}; {startOf(one)}
                      </span>
                      <p className="steps">{one.steps.map(({ step }) => step).join(' → ')}</p>
                    </div>
                    {may && (
                      <button
                        type="button"
                        onClick={() =>
                          setAsked({
                            title: `Run ${one.pipeline}`,
                            about: 'Workers of `millrace run pipelines` take its steps.',
                            doIt: 'Run',
                            path: `/v1/pipelines/${encodeURIComponent(one.pipeline)}/run`,
                          })
                        }
                      >
                        Run now
                      </button>
                    )}
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </Panel>
      <Loaded of={runs}>
        {({ runs: all }) =>
          all.length + changed.length === 0 ? (
            <Empty>None ran so far.</Empty>
          ) : (
            [...newestOf(all, changed)]
              .reverse()
              .map((run) => (
                <Run key={run.id} run={run} alerts={alerts.data?.alerts ?? []} ask={may ? setAsked : null} />
              ))
          )
        }
      </Loaded>
      {asked !== null && (
        <ReasonDialog
          {...asked}
          perform={(reason) => post(asked.path, { reason }).then(runs.reload)}
          close={() => setAsked(null)}
        />
      )}
    </>
  );
}

/** Each run as it changed last, in the order of the API. */
function newestOf(before: readonly PipelineRun[], changed: readonly PipelineRun[]): readonly PipelineRun[] {
  const runs = new Map(before.map((run) => [run.id, run]));
  for (const run of changed) if (run.at >= (runs.get(run.id)?.at ?? 0)) runs.set(run.id, run);
  return [...runs.values()]
    .sort((a, b) => a.eventTime - b.eventTime || a.createdAt - b.createdAt)
    .slice(-SHOWN);
}

function startOf({ start: { everyMs, cron, alerts } }: Pipeline): string {
  const causes = [
    ...(everyMs === null ? [] : [`every ${span(everyMs)} of event time`]),
    ...(cron === null ? [] : [`by the clock (${cron})`]),
    ...alerts.map((rule) => `when ${rule} fires`),
  ];
  return causes.length === 0 ? 'started by hand' : causes.join(', ');
}

const RUN_TONES: Readonly<Record<PipelineRun['state'], Tone>> = {
  waiting: 'plain',
  running: 'accent',
  shadowing: 'accent',
  done: 'good',
  refused: 'warn',
  failed: 'bad',
  cancelled: 'plain',
};

function Run({
  run,
  alerts,
  ask,
}: {
  readonly run: PipelineRun;
  readonly alerts: readonly Alert[];
  readonly ask: ((asked: Asked) => void) | null;
}) {
  const at = `/v1/pipeline-runs/${encodeURIComponent(run.id)}`;
  const over = ['done', 'refused', 'failed', 'cancelled'].includes(run.state);
  const resumable = run.state === 'failed' || run.state === 'cancelled';
  return (
    <Panel
      title={run.id}
      note={
        <>
          <Badge tone={RUN_TONES[run.state]}>{run.state}</Badge> {causeOf(run.cause, alerts)}; learns up to{' '}
          <Time at={run.eventTime} />
        </>
      }
      actions={
        ask === null ? undefined : over ? (
          resumable && (
            <button
              type="button"
              onClick={() =>
                ask({
                  title: `Go on with ${run.id}`,
                  about: 'It goes on at the step where it ended.',
                  doIt: 'Go on',
                  path: `${at}/resume`,
                })
              }
            >
              Go on
            </button>
          )
        ) : (
          <button
            type="button"
            onClick={() =>
              ask({
                title: `Cancel ${run.id}`,
                about: 'A step that is at work ends; nothing is promoted.',
                doIt: 'Cancel the run',
                path: `${at}/cancel`,
              })
            }
          >
            Cancel
          </button>
        )
      }
    >
      <ol className="tree">
        {run.steps.map((step) => (
          <StepLine key={step.step} run={run.id} step={step} />
        ))}
      </ol>
    </Panel>
  );
}
