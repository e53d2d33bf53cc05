import { useState } from 'react';
import { againOf } from '../../lib/causes.ts';
import { span, time } from '../../lib/format.ts';
import { useResource } from '../../lib/resource.ts';
import type { Step, StepLog, StepState } from '../../lib/types.ts';
import { Badge, Empty, Loaded } from '../../parts/basics.tsx';

const SIGNS: Readonly<Record<StepState, string>> = {
  waiting: '○',
  running: '◐',
  done: '✓',
  skipped: '–',
  failed: '✗',
  cancelled: '–',
};

const LOOK_EVERY_MS = 2_000;

/** One step of a run: how it stands, and on demand all that it said. */
export function StepLine({ run, step }: { readonly run: string; readonly step: Step }) {
  const { state, refused, startedAt, finishedAt, note, error, attempt } = step;
  const [open, setOpen] = useState(false);
  const again = againOf(step);
  const took = startedAt === null ? null : (finishedAt ?? Date.now()) - startedAt;
  return (
    <li className={`step ${refused ? 'refused' : state}`}>
      <span aria-hidden="true" className="sign">
        {refused ? '✗' : SIGNS[state]}
      </span>
      <span className="step-name">{step.step}</span>
      <span className="muted digits">{took === null ? '' : span(took)}</span>
      <span>
        <span className="unseen">{refused ? 'said no' : state}. </span>
        {again !== null && (again.failed ? <Badge tone="warn">{again.said}</Badge> : `${again.said}:`)}{' '}
        {error || note}
      </span>
      {attempt > 0 && (
        <button
          type="button"
          className="link"
          aria-expanded={open}
          aria-label={`Log of ${step.step}`}
          onClick={() => setOpen(!open)}
        >
          log
        </button>
      )}
      {open && <Log run={run} step={step.step} running={state === 'running'} />}
    </li>
  );
}

function Log({
  run,
  step,
  running,
}: {
  readonly run: string;
  readonly step: string;
  readonly running: boolean;
}) {
  const log = useResource<StepLog>(
    `/v1/pipeline-runs/${encodeURIComponent(run)}/steps/${encodeURIComponent(step)}/log`,
    running ? LOOK_EVERY_MS : null,
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a long log scrolls, with the arrow keys too
    <section className="step-log" tabIndex={0} aria-label={`What ${step} said`}>
      <Loaded of={log}>
        {({ lines }) =>
          lines.length === 0 ? (
            <Empty>It said nothing so far.</Empty>
          ) : (
            <ol>
              {lines.map(({ at, attempt, kind, text }) => (
                <li key={`${at} ${attempt} ${kind} ${text}`} className={kind}>
                  <time dateTime={new Date(at).toISOString()}>{time(at)}</time>{' '}
                  {kind === 'begun' ? `try ${attempt} begun by ${text}` : text}
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </section>
  );
}
