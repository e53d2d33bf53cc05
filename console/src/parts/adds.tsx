import { signed } from '../lib/format.ts';

const HALF = 50;

/** A bar from the middle: to the right what raises the score, to the left what lowers it. `most` fills one side. */
export function Adds({ value, most }: { readonly value: number; readonly most: number }) {
  const width = most === 0 ? 0 : (Math.abs(value) / most) * HALF;
  return (
    <span className="adds">
      <svg viewBox={`0 0 ${2 * HALF} 10`} preserveAspectRatio="none" aria-hidden="true">
        <line x1={HALF} x2={HALF} y1={0} y2={10} />
        <rect
          className={value < 0 ? 'lowers' : 'raises'}
          x={value < 0 ? HALF - width : HALF}
          width={width}
          y={1}
          height={8}
        />
      </svg>
      <span className="digits">{signed(value)}</span>
    </span>
  );
}
