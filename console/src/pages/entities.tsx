import { type FormEvent, useState } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { address } from '../lib/api.ts';
import { useProject } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import type { Prediction } from '../lib/types.ts';
import { Empty, Loaded, PageHead, Panel } from '../parts/basics.tsx';
import { PREDICTION_COLUMNS } from '../parts/prediction-columns.tsx';
import { Table } from '../parts/table.tsx';
import { EntityTimeline } from './entities/events.tsx';
import { EntityFeatures, type View } from './entities/features.tsx';
import { Recent } from './entities/recent.tsx';

/** What does it know of this one? */
export function Entities() {
  const project = useProject();
  const [search, setSearch] = useSearchParams();
  const view = project.views.find(({ view: name }) => name === search.get('view')) ?? project.views[0];
  const entity = search.get('entity') ?? '';
  const at = search.get('at') ?? '';
  if (view === undefined) return <Empty>The project declares no view yet.</Empty>;

  return (
    <>
      <PageHead title="Entities" question="What does it know of this one, now or at a time in the past?" />
      <Panel title="Look one up">
        <LookUp
          key={`${view.view} ${entity} ${at}`}
          views={project.views}
          view={view}
          entity={entity}
          at={at}
          onAsk={(asked) => setSearch(asked)}
        />
      </Panel>
      {entity === '' ? <Recent views={project.views} /> : <Known view={view} entity={entity} at={at} />}
    </>
  );
}

function LookUp({
  views,
  view,
  entity,
  at,
  onAsk,
}: {
  readonly views: readonly View[];
  readonly view: View;
  readonly entity: string;
  readonly at: string;
  readonly onAsk: (asked: Record<string, string>) => void;
}) {
  const [chosen, setChosen] = useState(view.view);
  const fields = views.find(({ view: name }) => name === chosen)?.entity ?? view.entity;
  function ask(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const key = fields.map((field) => String(form.get(`key ${field}`) ?? '')).join('|');
    const time = String(form.get('at') ?? '').trim();
    onAsk({ view: chosen, entity: key, ...(time === '' ? {} : { at: time }) });
  }
  return (
    <form className="filters" onSubmit={ask}>
      <label>
        view
        <select value={chosen} onChange={(event) => setChosen(event.target.value)}>
          {views.map(({ view: name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      {fields.map((field, i) => (
        <label key={`${chosen} ${field}`}>
          {field}
          <input name={`key ${field}`} required defaultValue={entity.split('|')[i] ?? ''} />
        </label>
      ))}
      <label>
        event time (empty: the newest)
        <input name="at" placeholder="2001-04-01T15:00:00Z" defaultValue={at} />
      </label>
      <button type="submit" className="primary">
        Look
      </button>
    </form>
  );
}

function Known({ view, entity, at }: { readonly view: View; readonly entity: string; readonly at: string }) {
  return (
    <>
      <EntityFeatures view={view} entity={entity} at={at} />
      <EntityTimeline view={view} entity={entity} at={at} />
      <Asked entity={entity} />
    </>
  );
}

/** What models answered that read this entity. */
function Asked({ entity }: { readonly entity: string }) {
  const project = useProject();
  return project.models.map(({ model }) => <AskedOf key={model} model={model} entity={entity} />);
}

function AskedOf({ model, entity }: { readonly model: string; readonly entity: string }) {
  const [, go] = useLocation();
  const found = useResource<{ predictions: Prediction[] }>(
    address(`/v1/models/${encodeURIComponent(model)}/predictions`, { entity, limit: 50 }),
    5_000,
  );
  return (
    <Panel title={`Predictions of ${model} that read it`}>
      <Loaded of={found}>
        {({ predictions }) =>
          predictions.length === 0 ? (
            <Empty>None in the archive.</Empty>
          ) : (
            <Table
              label={`Predictions of ${model}`}
              columns={[
                ...PREDICTION_COLUMNS,
                {
                  name: 'why',
                  show: ({ id }) => (
                    <button
                      type="button"
                      className="link"
                      onClick={() =>
                        go(`/predictions/${encodeURIComponent(model)}/${encodeURIComponent(id)}`)
                      }
                    >
                      explain
                    </button>
                  ),
                },
              ]}
              rows={predictions}
              id={({ id }) => id}
            />
          )
        }
      </Loaded>
    </Panel>
  );
}
