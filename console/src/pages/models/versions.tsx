import { useState } from 'react';
import { Link } from 'wouter';
import { post } from '../../lib/api.ts';
import { number } from '../../lib/format.ts';
import { useMayChange } from '../../lib/project.tsx';
import type { Change, Model, Version } from '../../lib/types.ts';
import { Badge, Empty, Figure, Panel, Time, type Tone } from '../../parts/basics.tsx';
import { ReasonDialog } from '../../parts/reason-dialog.tsx';
import { Table } from '../../parts/table.tsx';

export type OneModel = Model & { readonly changes: readonly Change[] };

const TONES: Readonly<Record<string, Tone>> = { champion: 'good', challenger: 'accent', candidate: 'plain' };

interface Asked {
  readonly title: string;
  readonly about: string;
  readonly doIt: string;
  readonly path: string;
}

/** Who answers, who is tried beside it, and how each came to be what it is. */
export function Versions({
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
              { name: 'why', wide: true, show: ({ since }) => since.reason },
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
          { name: 'why', wide: true, show: ({ reason }) => reason },
        ]}
        rows={[...changes].reverse().slice(0, 100)}
        id={({ change }) => String(change)}
      />
    </Panel>
  );
}
