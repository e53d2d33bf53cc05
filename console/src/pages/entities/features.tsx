import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { Link } from 'wouter';
import { ApiProblem, address } from '../../lib/api.ts';
import { number, span } from '../../lib/format.ts';
import { readOf } from '../../lib/inputs.ts';
import { featuresThen } from '../../lib/past.ts';
import { useProject } from '../../lib/project.tsx';
import { useResource } from '../../lib/resource.ts';
import type { Features, Model, Project, VersionInputs } from '../../lib/types.ts';
import { Empty, Failure, Figure, Loaded, Panel, Time } from '../../parts/basics.tsx';
import { StandingStrip } from '../../parts/standing.tsx';
import { type Column, Table } from '../../parts/table.tsx';

export type View = Project['views'][number];

/** What is known of an entity: from the online store, or for a time that it keeps no more from the archive. */
export function EntityFeatures({
  view,
  entity,
  at,
}: {
  readonly view: View;
  readonly entity: string;
  readonly at: string;
}) {
  const found = useResource<Features>(
    address(`/v1/features/${encodeURIComponent(view.view)}`, { entity, at }),
    at === '' ? 2_000 : null,
  );
  const quantiles = useLearnt(view.view);
  const old = found.error instanceof ApiProblem && found.error.code === 'behind' && at !== '';
  const show = (values: Readonly<Record<string, number | null>>) => (
    <Values view={view} values={values} quantiles={quantiles} />
  );
  return (
    <Panel
      title={`${view.entity.join(', ')} ${entity.replaceAll('|', ', ')}`}
      note={`View ${view.id}, exact to ${span(view.resolutionMs)}, read ${span(view.readDelayMs)} behind the request.`}
    >
      {old ? (
        <Past view={view} entity={entity} at={at} show={show} />
      ) : (
        <Loaded of={found}>
          {(data) => (
            <>
              <div className="figures">
                <Figure
                  name="as of"
                  value={<Time at={data.asOf} />}
                  note="every event before it is in, none after"
                />
                <Figure name="age" value={span(data.ageMs)} note="behind the time asked for" />
              </div>
              <Earlier view={view.view} entity={entity} from={data.asOf} at={at} />
              {show(data.features)}
            </>
          )}
        </Loaded>
      )}
    </Panel>
  );
}

const BACK = [
  ['an hour earlier', 3_600_000],
  ['a day earlier', 86_400_000],
  ['a week earlier', 604_800_000],
] as const;

/** Ways to the same entity at other times, so that nobody has to write one. */
function Earlier({
  view,
  entity,
  from,
  at,
}: {
  readonly view: string;
  readonly entity: string;
  readonly from: number;
  readonly at: string;
}) {
  const to = (time: string) => address('/entities', { view, entity, at: time });
  return (
    <p className="keys">
      {BACK.map(([said, ms]) => (
        <Link key={said} href={to(new Date(from - ms).toISOString())}>
          {said}
        </Link>
      ))}
      {at !== '' && <Link href={to('')}>the newest</Link>}
    </p>
  );
}

type Quantiles = ReadonlyMap<string, readonly number[] | null>;

/** How the values of the view's features were spread where the champion learnt that reads them; by feature. */
function useLearnt(view: string): Quantiles {
  const project = useProject();
  const found = readOf(project.models, view);
  const reader = found?.model;
  const at = reader === undefined ? null : `/v1/models/${encodeURIComponent(reader)}`;
  const { data: model } = useResource<Model>(at);
  const champion = model?.champion ?? null;
  const { data } = useResource<VersionInputs>(champion === null ? null : `${at}/versions/${champion}/inputs`);
  const read = found?.read ?? '';
  return useMemo(
    () =>
      new Map(
        data?.features.flatMap(({ name, quantiles }) =>
          name.startsWith(`${read}.`) ? [[name.slice(read.length + 1), quantiles]] : [],
        ),
      ),
    [data, read],
  );
}

function Values({
  view,
  values,
  quantiles,
}: {
  readonly view: View;
  readonly values: Readonly<Record<string, number | null>>;
  readonly quantiles: Quantiles;
}) {
  const columns: Column<readonly [string, number | null]>[] = [
    { name: 'feature', show: ([name]) => <code>{name}</code> },
    {
      name: 'aggregation',
      show: ([name]) => view.features.find((one) => one.name === name)?.aggregation ?? '',
    },
    { name: 'value', figure: true, show: ([, value]) => number(value) },
  ];
  if (quantiles.size > 0)
    columns.push({
      name: 'among what the champion learnt from',
      show: ([name, value]) => <StandingStrip value={value} quantiles={quantiles.get(name) ?? null} />,
    });
  return <Table label="Features" columns={columns} rows={Object.entries(values)} id={([name]) => name} />;
}

function Past({
  view,
  entity,
  at,
  show,
}: {
  readonly view: View;
  readonly entity: string;
  readonly at: string;
  readonly show: (values: Readonly<Record<string, number | null>>) => ReactNode;
}) {
  const [values, setValues] = useState<Readonly<Record<string, number | null>> | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    const ending = new AbortController();
    setValues(null);
    setError(null);
    const parts = view.entity.length === 1 ? [entity] : entity.split('|');
    const fields = Object.fromEntries(view.entity.map((field, i) => [field, parts[i] ?? '']));
    featuresThen(view.view, fields, at, ending.signal).then(setValues, (failed: Error) => {
      if (!ending.signal.aborted) setError(failed);
    });
    return () => ending.abort();
  }, [view, entity, at]);
  if (error !== null) return <Failure error={error} />;
  if (values === null)
    return (
      <p className="empty" aria-busy="true">
        The online store keeps this time no more: computing it from the archive …
      </p>
    );
  if (Object.keys(values).length === 0) return <Empty>The archive tells nothing of it.</Empty>;
  return (
    <>
      <p className="muted">
        Computed from the archive as a request at {at} would have read it: the online store keeps this time no
        more.
      </p>
      <Earlier
        view={view.view}
        entity={entity}
        from={/^-?\d+$/.test(at) ? Number(at) : Date.parse(at)}
        at={at}
      />
      {show(values)}
    </>
  );
}
