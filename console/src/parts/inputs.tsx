import { useMemo, useState } from 'react';
import { number, signed } from '../lib/format.ts';
import { useResource } from '../lib/resource.ts';
import type { Explanation, VersionInputs } from '../lib/types.ts';
import { Adds } from './adds.tsx';
import { Panel } from './basics.tsx';
import { StandingStrip } from './standing.tsx';
import { type Column, Table } from './table.tsx';

type Feature = Explanation['features'][number];

const METHODS = { shapley: 'exact Shapley values', gradient_input: 'gradient × input' } as const;

/** What a prediction saw: what each value adds to the score, and how usual it is. */
export function Inputs({ one }: { readonly one: Explanation }) {
  const { features, contributions, model, modelVersion } = one;
  const learnt = useResource<VersionInputs>(
    modelVersion === 0 ? null : `/v1/models/${encodeURIComponent(model)}/versions/${modelVersion}/inputs`,
  );
  const [wanted, setWanted] = useState('');
  const most = useMemo(() => Math.max(0, ...features.map(sizeOf)), [features]);
  const rows = useMemo(() => {
    const found = features.filter(({ name }) => name.includes(wanted.trim()));
    return contributions === null ? found : found.sort((a, b) => sizeOf(b) - sizeOf(a));
  }, [features, contributions, wanted]);
  const quantiles = useMemo(
    () => new Map(learnt.data?.features.map((feature) => [feature.name, feature.quantiles])),
    [learnt.data],
  );
  const columns: Column<Feature>[] = [
    { name: 'feature', show: ({ name }) => <code>{name}</code> },
    {
      name: 'value',
      figure: true,
      show: ({ value }) => (value === null ? <span className="muted">empty</span> : number(value)),
    },
  ];
  if (contributions !== null)
    columns.push({
      name: 'adds',
      show: ({ contribution }) => <Adds value={contribution ?? 0} most={most} />,
    });
  if (quantiles.size > 0 || learnt.loading)
    columns.push({
      name: 'among what it learnt from',
      show: ({ name, value }) =>
        learnt.loading ? (
          <span className="muted">…</span>
        ) : (
          <StandingStrip value={value} quantiles={quantiles.get(name) ?? null} />
        ),
    });
  return (
    <Panel
      title="What it saw, and what that added"
      note={<Sum of={contributions} count={features.length} />}
      actions={
        <input
          type="search"
          aria-label="Only features whose name contains"
          placeholder="name contains"
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
      }
    >
      <Table label="Inputs" columns={columns} rows={rows} id={({ name }) => name} />
    </Panel>
  );
}

const sizeOf = ({ contribution }: Feature): number => Math.abs(contribution ?? 0);

function Sum({ of, count }: { readonly of: Explanation['contributions']; readonly count: number }) {
  if (of === null) return `${count} features, in the order of the vector. What each adds is not known.`;
  return (
    <>
      Log odds by {METHODS[of.method]}: {signed(of.base)} to start from and what {count} features add make{' '}
      {signed(of.logit)}, before calibration.
    </>
  );
}
