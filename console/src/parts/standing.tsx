import { standingOf } from '../lib/inputs.ts';

/** A value on the scale of what a version learnt from: the ends are its least and largest value, a tick is a decile. */
export function StandingStrip({
  value,
  quantiles,
}: {
  readonly value: number | null;
  readonly quantiles: readonly number[] | null;
}) {
  const standing = standingOf(value, quantiles);
  if (standing === null) return <span className="muted">–</span>;
  const { rank, said, strange } = standing;
  return (
    <svg className={`standing${strange ? ' strange' : ''}`} viewBox="0 0 104 12" role="img" aria-label={said}>
      <title>{said}</title>
      <rect x={2} y={4} width={100} height={4} rx={2} />
      <rect className="middle" x={12} y={4} width={80} height={4} />
      <circle cx={2 + rank * 100} cy={6} r={4} />
    </svg>
  );
}
