import { useState } from 'react';
import { type Curve, curvesOf, reachOf } from '../lib/calibration.ts';
import { number, time } from '../lib/format.ts';
import type { Measure } from '../lib/types.ts';
import { Empty } from './basics.tsx';
import { Table } from './table.tsx';

/** What was said against what came, with the line on which a score means what it says. */
export function Calibration({ measures }: { readonly measures: readonly Measure[] }) {
  const curves = curvesOf(measures);
  const [chosen, setChosen] = useState<number | null>(null);
  const curve = curves.find(({ version }) => version === chosen) ?? newestOf(curves);
  if (curve === undefined) return <Empty>No window has labels yet.</Empty>;
  return (
    <>
      <p className="muted actions">
        {curves.length > 1 && (
          <select
            aria-label="Version of the curve"
            value={curve.version}
            onChange={(event) => setChosen(Number(event.target.value))}
          >
            {curves.map(({ version }) => (
              <option key={version} value={version}>
                version {version}
              </option>
            ))}
          </select>
        )}
        {curves.length === 1 && `Version ${curve.version}, `}window to {time(curve.to)}.
      </p>
      <Drawn curve={curve} />
      <details>
        <summary>In figures</summary>
        <Table
          label="Calibration"
          columns={[
            { name: 'it said', figure: true, show: ({ meanScore }) => number(meanScore) },
            { name: 'it was', figure: true, show: ({ rate }) => number(rate) },
            { name: 'requests', figure: true, show: ({ rows }) => number(rows) },
          ]}
          rows={curve.points}
          id={({ meanScore }) => String(meanScore)}
        />
      </details>
    </>
  );
}

/** The version that was judged last: the one that answers now. */
const newestOf = (curves: readonly Curve[]): Curve | undefined =>
  curves.toSorted((a, b) => a.to - b.to || a.version - b.version).at(-1);

const SIDE = 200;
const LEFT = 34;
const BOTTOM = 24;

function Drawn({ curve }: { readonly curve: Curve }) {
  const most = reachOf(curve);
  const x = (value: number) => LEFT + (value / most) * SIDE;
  const y = (value: number) => 6 + SIDE - (value / most) * SIDE;
  const ticks = [0, most / 2, most];
  return (
    <svg
      className="curve"
      viewBox={`0 0 ${LEFT + SIDE + 12} ${SIDE + 10 + BOTTOM}`}
      role="img"
      aria-label={`Calibration of version ${curve.version}; the figures stand below`}
    >
      {ticks.map((tick) => (
        <g key={tick}>
          <line className="grid" x1={x(tick)} x2={x(tick)} y1={y(0)} y2={y(most)} />
          <line className="grid" x1={x(0)} x2={x(most)} y1={y(tick)} y2={y(tick)} />
          <text x={x(tick)} y={y(0) + 16} textAnchor="middle">
            {number(tick)}
          </text>
          <text x={LEFT - 6} y={y(tick) + 4} textAnchor="end">
            {number(tick)}
          </text>
        </g>
      ))}
      <line className="ideal" x1={x(0)} x2={x(most)} y1={y(0)} y2={y(most)} />
      <polyline points={curve.points.map(({ meanScore, rate }) => `${x(meanScore)},${y(rate)}`).join(' ')} />
      {curve.points.map(({ meanScore, rate, rows }) => (
        <circle key={meanScore} cx={x(meanScore)} cy={y(rate)} r={3.5}>
          <title>{`said ${number(meanScore)}, was ${number(rate)}, of ${number(rows)} requests`}</title>
        </circle>
      ))}
    </svg>
  );
}
