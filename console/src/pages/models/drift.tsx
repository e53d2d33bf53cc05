import { useState } from 'react';
import { number, plural } from '../../lib/format.ts';
import { isNamed, ranked, sharesIn } from '../../lib/quality.ts';
import { useResource } from '../../lib/resource.ts';
import type { Measure } from '../../lib/types.ts';
import { Empty, Loaded, Panel, Time } from '../../parts/basics.tsx';
import { Table } from '../../parts/table.tsx';
import { TwoSpreads } from '../../parts/two-spreads.tsx';

const SHOWN = 15;

/** What moved, the largest effect first; one of them drawn as it was and as it is. */
export function Drift({ path }: { readonly path: string }) {
  const found = useResource<{ measures: Measure[] }>(`${path}/drift`, 15_000);
  return (
    <Panel
      title="Drift"
      note="Features of the newest window against those before it, the largest effect first."
    >
      <Loaded of={found}>{({ measures }) => <Ranked all={ranked(measures)} />}</Loaded>
    </Panel>
  );
}

const idOf = ({ subject, statistic }: Measure) => `${subject} ${statistic}`;

function Ranked({ all }: { readonly all: readonly Measure[] }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [named, setNamed] = useState('');
  if (all.length === 0) return <Empty>No window was compared yet.</Empty>;
  const fired = all.filter((one) => one.fired).length;
  const found = all.filter(isNamed(named));
  const drawn = found.find((one) => idOf(one) === chosen) ?? found.find((one) => sharesIn(one) !== null);
  return (
    <>
      <p className="muted">
        {fired === 0
          ? 'Nothing is over its threshold'
          : `${plural(fired, 'feature is', 'features are')} over the threshold`}
        , of {new Set(all.map(({ subject }) => subject)).size} looked at; window to{' '}
        <Time at={all[0]?.to ?? null} />.
      </p>
      {all.length > SHOWN && (
        <form className="filters" onSubmit={(event) => event.preventDefault()}>
          <label>
            feature
            <input type="search" value={named} onChange={(event) => setNamed(event.target.value)} />
          </label>
          <p className="muted">
            {found.length > SHOWN
              ? `The ${SHOWN} largest of ${number(found.length)} are shown.`
              : `${plural(found.length, 'is', 'are')} shown.`}
          </p>
        </form>
      )}
      <div className="two wide-first">
        <Table
          label="Drift by feature"
          columns={[
            {
              name: 'feature',
              show: (one) =>
                sharesIn(one) === null ? (
                  <code>{one.subject}</code>
                ) : (
                  <button
                    type="button"
                    className="link"
                    aria-pressed={one === drawn}
                    onClick={() => setChosen(idOf(one))}
                  >
                    <code>{one.subject}</code>
                  </button>
                ),
            },
            { name: 'statistic', show: ({ statistic }) => statistic.replaceAll('_', ' ') },
            { name: 'effect', show: (one) => <Effect one={one} /> },
            { name: 'value', figure: true, show: ({ value }) => number(value) },
            { name: 'threshold', figure: true, show: ({ threshold }) => number(threshold) },
          ]}
          rows={found.slice(0, SHOWN)}
          id={idOf}
        />
        {drawn !== undefined && <TwoSpreads one={drawn} />}
      </div>
    </>
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
