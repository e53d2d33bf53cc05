import { number } from '../lib/format.ts';
import type { Prediction } from '../lib/types.ts';
import { Badge, Time } from './basics.tsx';
import type { Column } from './table.tsx';

export const PREDICTION_COLUMNS: ReadonlyArray<Column<Prediction>> = [
  { name: 'request', show: ({ requestId }) => <code>{requestId}</code> },
  {
    name: 'score',
    figure: true,
    show: ({ score }) =>
      score === null ? (
        '–'
      ) : (
        <span className="score">
          <meter min={0} max={1} value={score} aria-label={`score ${number(score)}`} />
          {score.toFixed(3)}
        </span>
      ),
  },
  {
    name: 'decision',
    show: ({ status, reason, decision }) =>
      status === 'refused' ? (
        <Badge tone="warn">refused: {reason}</Badge>
      ) : (
        <Badge tone={decision ? 'accent' : 'plain'}>{decision ? 'yes' : 'no'}</Badge>
      ),
  },
  { name: 'event time', show: ({ requestTime }) => <Time at={requestTime} /> },
  { name: 'version', figure: true, show: ({ modelVersion }) => (modelVersion === 0 ? '–' : modelVersion) },
];
