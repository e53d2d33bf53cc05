import { useLocation } from 'wouter';
import { useProject } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import { Empty, Loaded, PageHead } from '../parts/basics.tsx';
import { Drift } from './models/drift.tsx';
import { Quality } from './models/quality.tsx';
import { Runs } from './models/runs.tsx';
import { Shadow } from './models/shadow.tsx';
import { type OneModel, Versions } from './models/versions.tsx';

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
      <Quality key={`quality ${model}`} path={path} />
      <Drift key={`drift ${model}`} path={path} />
      <Loaded of={found}>
        {(one) => (
          <>
            <Shadow key={`shadow ${model}`} model={one} path={path} />
            <Versions model={one} path={path} reload={found.reload} />
          </>
        )}
      </Loaded>
      <Runs key={`runs ${model}`} model={model} />
    </>
  );
}
