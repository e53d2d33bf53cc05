import { number } from '../lib/format.ts';
import { sharesIn } from '../lib/quality.ts';
import type { Measure } from '../lib/types.ts';

const ROW = 22;
const NAME = 96;
const WIDTH = 220;

/** How the values of a feature were spread before, and how they are now: two bars a cell. */
export function TwoSpreads({ one }: { readonly one: Measure }) {
  const shares = sharesIn(one);
  if (shares === null) return null;
  const { cells, reference, current } = shares;
  const most = Math.max(0.01, ...reference, ...current);
  const width = (share: number) => (share / most) * WIDTH;
  const percent = (share: number | undefined) => `${number(Math.round((share ?? 0) * 1_000) / 10)} %`;
  return (
    <figure className="spreads">
      <figcaption>
        <code>{one.subject}</code>
        <span className="key before">before</span> <span className="key now">in this window</span>
        <span className="muted why">{(one.detail as { why?: string } | null)?.why}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${NAME + WIDTH + 8} ${cells.length * ROW}`}
        role="img"
        aria-label={`${one.subject}: ${cells.map((cell, i) => `${cell}: ${percent(reference[i])} before, ${percent(current[i])} now`).join('; ')}`}
      >
        {cells.map((cell, i) => (
          <g key={cell} transform={`translate(0 ${i * ROW})`}>
            <title>{`${cell}: ${percent(reference[i])} before, ${percent(current[i])} now`}</title>
            <text x={NAME - 8} y={15} textAnchor="end">
              {cell.length > 15 ? `${cell.slice(0, 14)}…` : cell}
            </text>
            <rect className="before" x={NAME} y={2} width={width(reference[i] ?? 0)} height={8} rx={2} />
            <rect className="now" x={NAME} y={11} width={width(current[i] ?? 0)} height={8} rx={2} />
          </g>
        ))}
      </svg>
    </figure>
  );
}
