import { useMemo, useState } from 'react';
import { number, plural } from '../../lib/format.ts';
import { useResource } from '../../lib/resource.ts';
import type { Change, Model, ShadowTest } from '../../lib/types.ts';
import { Empty, Figure, Loaded, Panel } from '../../parts/basics.tsx';
import { Series } from '../../parts/series.tsx';

/** The test beside the champion as it grows, of a version that is or was a challenger. */
export function Shadow({
  model,
  path,
}: {
  readonly model: Model & { readonly changes: readonly Change[] };
  readonly path: string;
}) {
  const tested = useMemo(
    () =>
      [
        ...new Set(model.changes.filter(({ state }) => state === 'challenger').map(({ version }) => version)),
      ].sort((a, b) => b - a),
    [model.changes],
  );
  const [chosen, setChosen] = useState<number | null>(null);
  const version = chosen ?? tested[0] ?? null;
  const found = useResource<ShadowTest>(version === null ? null : `${path}/versions/${version}/shadow`);
  if (version === null) return null;
  return (
    <Panel
      title="Shadow test"
      note="A challenger is scored beside the champion on live requests until the evidence decides."
      actions={
        <select
          aria-label="Challenger"
          value={version}
          onChange={(event) => setChosen(Number(event.target.value))}
        >
          {tested.map((one) => (
            <option key={one} value={one}>
              version {one}
            </option>
          ))}
        </select>
      }
    >
      <Loaded of={found}>{(test) => <Evidence test={test} />}</Loaded>
    </Panel>
  );
}

function Evidence({ test }: { readonly test: ShadowTest }) {
  const { looks, bar, sentence, champion } = test;
  const at = useMemo(() => looks.map(({ to }) => to), [looks]);
  const evidence = useMemo(
    () => [
      { name: 'it is better', values: looks.map((look) => look.evidence.better) },
      { name: 'it is worse', values: looks.map((look) => look.evidence.worse) },
      { name: 'it gains too little', values: looks.map((look) => look.evidence.tooSmall) },
      { name: `decides (${number(bar)})`, values: looks.map(() => bar), dashed: true },
    ],
    [looks, bar],
  );
  const gain = useMemo(
    () => [
      {
        name: 'gain, nats a request',
        values: looks.map((look) => look.gain.value),
        low: looks.map((look) => look.gain.low),
        high: looks.map((look) => look.gain.high),
      },
    ],
    [looks],
  );
  const last = looks.at(-1);
  return (
    <>
      <p>{sentence}</p>
      {last === undefined ? (
        <Empty>No stretch of requests with labels is closed yet.</Empty>
      ) : (
        <>
          <div className="figures">
            <Figure name="beside" value={champion === null ? '–' : `version ${champion}`} />
            <Figure name="requests" value={number(last.rows)} note={plural(looks.length, 'look')} />
            <Figure
              name="evidence that it is better"
              value={number(last.evidence.better)}
              note={`${number(bar)} decides`}
            />
          </div>
          <div className="two">
            <div>
              <h3>Evidence</h3>
              <Series
                label="Evidence of the shadow test by event time"
                at={at}
                lines={evidence}
                height={180}
                logarithmic
              />
            </div>
            <div>
              <h3>Gain over the champion</h3>
              <Series label="Gain in log loss by event time" at={at} lines={gain} height={180} />
            </div>
          </div>
        </>
      )}
    </>
  );
}
