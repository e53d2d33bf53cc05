import { useEffect, useState } from 'react';
import { address, get } from '../../lib/api.ts';
import { number, span } from '../../lib/format.ts';
import { useResource } from '../../lib/resource.ts';
import { differing, type Training, type TrainingRecord } from '../../lib/runs.ts';
import { Badge, Empty, Loaded, Panel, Time } from '../../parts/basics.tsx';
import { Table } from '../../parts/table.tsx';

/** Trainings side by side: what they were given, and what came of it. */
export function Runs({ model }: { readonly model: string }) {
  const found = useResource<{ runs: Training[] }>(address('/v1/runs', { subject: model, limit: 30 }), 30_000);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const toggle = (id: string) =>
    setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen.slice(-3), id]);
  return (
    <Panel title="Runs" note="Trainings and trials, the newest first. Choose two to four to compare them.">
      <Loaded of={found}>
        {({ runs }) =>
          runs.length === 0 ? (
            <Empty>None was recorded.</Empty>
          ) : (
            <>
              <Table
                label="Runs"
                columns={[
                  {
                    name: 'compare',
                    show: ({ id }) => (
                      <input
                        type="checkbox"
                        aria-label={`Compare ${id}`}
                        checked={chosen.includes(id)}
                        onChange={() => toggle(id)}
                      />
                    ),
                  },
                  { name: 'run', show: ({ id }) => <code>{id}</code> },
                  { name: 'kind', show: ({ kind }) => kind },
                  {
                    name: 'ended',
                    show: ({ state, error }) =>
                      state === 'done' ? (
                        <Badge tone="good">done</Badge>
                      ) : (
                        <Badge tone="bad">{error || state}</Badge>
                      ),
                  },
                  { name: 'began', show: ({ startedAt }) => <Time at={startedAt} /> },
                  {
                    name: 'took',
                    figure: true,
                    show: ({ startedAt, finishedAt }) => span(finishedAt - startedAt),
                  },
                  { name: 'log loss', figure: true, show: ({ loss }) => number(loss) },
                ]}
                rows={runs}
                id={({ id }) => id}
              />
              {chosen.length > 1 && (
                <Compared ids={runs.map(({ id }) => id).filter((id) => chosen.includes(id))} />
              )}
            </>
          )
        }
      </Loaded>
    </Panel>
  );
}

function Compared({ ids }: { readonly ids: readonly string[] }) {
  const [runs, setRuns] = useState<readonly TrainingRecord[] | null>(null);
  const asked = ids.join(' ');
  useEffect(() => {
    const ending = new AbortController();
    const paths = asked.split(' ').map((id) => `/v1/runs/${encodeURIComponent(id)}`);
    Promise.all(paths.map((path) => get<TrainingRecord>(path, ending.signal))).then(setRuns, () => {});
    return () => ending.abort();
  }, [asked]);
  if (runs === null) return <Empty>Looking …</Empty>;
  const rows = differing(runs);
  return (
    <>
      <h3>What differs</h3>
      {rows.length === 0 ? (
        <Empty>Nothing that was recorded.</Empty>
      ) : (
        <Table
          label="What differs between the runs"
          columns={[
            { name: 'of', show: ({ name }) => <code>{name}</code> },
            ...runs.map(({ id }, i) => ({
              name: id,
              figure: true,
              show: ({ values }: { readonly values: readonly string[] }) => values[i] ?? '–',
            })),
          ]}
          rows={rows}
          id={({ name }) => name}
        />
      )}
    </>
  );
}
