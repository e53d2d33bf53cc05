import { useMemo, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { post } from '../lib/api.ts';
import { number, plural } from '../lib/format.ts';
import { useMayChange, useProject } from '../lib/project.tsx';
import { linesOf, ranked } from '../lib/quality.ts';
import { useResource } from '../lib/resource.ts';
import type { Change, Measure, Model, Version } from '../lib/types.ts';
import { Badge, Empty, Figure, Loaded, PageHead, Panel, Time, type Tone } from '../parts/basics.tsx';
import { ReasonDialog } from '../parts/reason-dialog.tsx';
import { Series } from '../parts/series.tsx';
import { Table } from '../parts/table.tsx';

type OneModel = Model & { readonly changes: readonly Change[] };

/** Is the model still good? */
export function Models({ model: named }: { readonly model?: string | undefined }) {
  const project = useProject();
  const [, go] = useLocation();
  const model = named ?? project.models[0]?.model;
  const path = model === undefined ? null : `/v1/models/${encodeURIComponent(model)}`;
  const found = useResource<OneModel>(path, 5_000);
  if (model === undefined || path === null) return <Empty>The project declares no model yet.</Empty>;
  return (
    <>
      <PageHead title="Models" question="Is the model still good?">
        {project.models.length > 1 && (
          <select
            aria-label="Model"
            value={model}
            onChange={(event) => go(`/models/${encodeURIComponent(event.target.value)}`)}
          >
            {project.models.map(({ model: name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </PageHead>
      <Quality path={path} />
      <Drift path={path} />
      <Loaded of={found}>{(one) => <Versions model={one} path={path} reload={found.reload} />}</Loaded>
    </>
  );
}

const STATISTICS = [
  'auc',
  'log_loss',
  'calibration_error',
  'brier',
  'pr_auc',
  'precision',
  'recall',
  'base_rate',
];

function Quality({ path }: { readonly path: string }) {
  const found = useResource<{ measures: Measure[] }>(`${path}/quality`, 15_000);
  const [statistic, setStatistic] = useState('auc');
  const drawn = useMemo(() => linesOf(found.data?.measures ?? [], statistic), [found.data, statistic]);
  return (
    <Panel
      title="Quality"
      note="By window of event time, with its interval. Dashed: estimated while labels are pending."
      actions={
        <select
          aria-label="Statistic"
          value={statistic}
          onChange={(event) => setStatistic(event.target.value)}
        >
          {STATISTICS.map((name) => (
            <option key={name} value={name}>
              {name.replaceAll('_', ' ')}
            </option>
          ))}
        </select>
      }
    >
      <Loaded of={found}>
        {() =>
          drawn.at.length === 0 ? (
            <Empty>
              Nothing was measured yet: a window is measured when it has ended, and labels have come.
            </Empty>
          ) : (
            <Series label={`${statistic} by window and version`} at={drawn.at} lines={drawn.lines} />
          )
        }
      </Loaded>
    </Panel>
  );
}

const SHOWN = 15;

function Drift({ path }: { readonly path: string }) {
  const found = useResource<{ measures: Measure[] }>(`${path}/drift`, 15_000);
  return (
    <Panel
      title="Drift"
      note="Features of the newest window against those before it, the largest effect first."
    >
      <Loaded of={found}>
        {({ measures }) => {
          const all = ranked(measures);
          if (all.length === 0) return <Empty>No window was compared yet.</Empty>;
          const fired = all.filter((one) => one.fired).length;
          return (
            <>
              <p className="muted">
                {fired === 0
                  ? 'Nothing is over its threshold'
                  : `${plural(fired, 'feature is', 'features are')} over the threshold`}
                , of {all.length} looked at; window to <Time at={all[0]?.to ?? null} />.
              </p>
              <Table
                label="Drift by feature"
                columns={[
                  { name: 'feature', show: ({ subject }) => <code>{subject}</code> },
                  { name: 'statistic', show: ({ statistic }) => statistic.replaceAll('_', ' ') },
                  { name: 'effect', show: (one) => <Effect one={one} /> },
                  { name: 'value', figure: true, show: ({ value }) => number(value) },
                  { name: 'threshold', figure: true, show: ({ threshold }) => number(threshold) },
                ]}
                rows={all.slice(0, SHOWN)}
                id={({ subject, statistic }) => `${subject} ${statistic}`}
              />
            </>
          );
        }}
      </Loaded>
    </Panel>
  );
}

/** A bar that is full at twice the threshold. */
function Effect({ one: { value, threshold, fired, subject } }: { readonly one: Measure }) {
  const share = threshold === null || threshold === 0 ? 0 : Math.min(2, (value ?? 0) / threshold);
  return (
    <meter
      className={fired ? 'fired' : ''}
      min={0}
      max={2}
      value={share}
      aria-label={`${subject} at ${number(share)} of its threshold`}
    />
  );
}

const TONES: Readonly<Record<string, Tone>> = { champion: 'good', challenger: 'accent', candidate: 'plain' };

interface Asked {
  readonly title: string;
  readonly about: string;
  readonly doIt: string;
  readonly path: string;
}

function Versions({
  model,
  path,
  reload,
}: {
  readonly model: OneModel;
  readonly path: string;
  readonly reload: () => void;
}) {
  const may = useMayChange();
  const [asked, setAsked] = useState<Asked | null>(null);
  const champion = model.versions.find(({ state }) => state === 'champion');
  return (
    <>
      <Panel
        title="Versions"
        note={
          champion === undefined
            ? 'None answers yet: train one.'
            : `Version ${champion.version} answers the requests.`
        }
        actions={
          may && champion !== undefined ? (
            <button
              type="button"
              onClick={() =>
                setAsked({
                  title: `Roll back ${model.model}`,
                  about: `The champion before version ${champion.version} answers again.`,
                  doIt: 'Roll back',
                  path: `${path}/rollback`,
                })
              }
            >
              Roll back
            </button>
          ) : undefined
        }
      >
        <div className="figures">
          <Figure name="champion" value={champion?.version ?? 'none'} tone="good" />
          <Figure name="features" value={model.features.length} />
          <Figure name="says yes from" value={number(model.threshold)} />
        </div>
        {model.versions.length === 0 ? (
          <Empty>No version was registered.</Empty>
        ) : (
          <Table
            label="Versions"
            columns={[
              { name: 'version', figure: true, show: ({ version }) => version },
              {
                name: 'state',
                show: ({ state, fits }) => (
                  <>
                    <Badge tone={TONES[state] ?? 'plain'}>{state}</Badge>
                    {!fits && <Badge tone="warn">other features</Badge>}
                  </>
                ),
              },
              { name: 'since', show: ({ since }) => <Time at={since.at} /> },
              { name: 'by', show: ({ since }) => since.by },
              { name: 'why', show: ({ since }) => since.reason },
              {
                name: 'change',
                show: (one) => (may ? <Moves one={one} path={path} ask={setAsked} /> : null),
              },
            ]}
            rows={[...model.versions].reverse()}
            id={({ version }) => String(version)}
          />
        )}
        <p>
          <Link href={`/predictions/${encodeURIComponent(model.model)}`}>Its predictions</Link>
        </p>
      </Panel>
      <History changes={model.changes} />
      {asked !== null && (
        <ReasonDialog
          {...asked}
          perform={(reason) => post(asked.path, { reason }).then(reload)}
          close={() => setAsked(null)}
        />
      )}
    </>
  );
}

function Moves({
  one,
  path,
  ask,
}: {
  readonly one: Version;
  readonly path: string;
  readonly ask: (asked: Asked) => void;
}) {
  const { version, state } = one;
  if (state !== 'candidate' && state !== 'challenger') return null;
  const at = `${path}/versions/${version}`;
  return (
    <div className="actions">
      <button
        type="button"
        onClick={() =>
          ask({
            title: `Promote version ${version}`,
            about: 'It answers from now on; the champion goes on in its shadow and watches it.',
            doIt: 'Promote',
            path: `${at}/promote`,
          })
        }
      >
        Promote
      </button>
      <button
        type="button"
        onClick={() =>
          ask({
            title: `Retire version ${version}`,
            about: 'It is scored no more, and cannot be promoted.',
            doIt: 'Retire',
            path: `${at}/retire`,
          })
        }
      >
        Retire
      </button>
    </div>
  );
}

function History({ changes }: { readonly changes: readonly Change[] }) {
  return (
    <Panel title="What became of them" note="Every change of the registry, the newest first.">
      <Table
        label="Changes of the registry"
        columns={[
          { name: 'at', show: ({ at }) => <Time at={at} /> },
          { name: 'version', figure: true, show: ({ version }) => version },
          { name: 'became', show: ({ state }) => <Badge tone={TONES[state] ?? 'plain'}>{state}</Badge> },
          { name: 'by', show: ({ by }) => by },
          { name: 'why', show: ({ reason }) => reason },
        ]}
        rows={[...changes].reverse().slice(0, 100)}
        id={({ change }) => String(change)}
      />
    </Panel>
  );
}
