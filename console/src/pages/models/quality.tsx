import { useMemo, useState } from 'react';
import { linesOf } from '../../lib/quality.ts';
import { useResource } from '../../lib/resource.ts';
import type { Measure } from '../../lib/types.ts';
import { Empty, Loaded, Panel } from '../../parts/basics.tsx';
import { Calibration } from '../../parts/calibration.tsx';
import { Series } from '../../parts/series.tsx';

const STATISTICS = [
  'auc',
  'log_loss',
  'calibration_error',
  'brier',
  'pr_auc',
  'precision',
  'recall',
  'base_rate',
];

/** By window, and whether a probability means what it says. */
export function Quality({ path }: { readonly path: string }) {
  const found = useResource<{ measures: Measure[] }>(`${path}/quality`, 15_000);
  const [statistic, setStatistic] = useState('auc');
  const drawn = useMemo(() => linesOf(found.data?.measures ?? [], statistic), [found.data, statistic]);
  return (
    <div className="two wide-first">
      <Panel
        title="Quality"
        note="By window of event time, with its interval. Dashed: estimated while labels are pending."
        actions={
          <select
            aria-label="Statistic"
            value={statistic}
            onChange={(event) => setStatistic(event.target.value)}
          >
            {STATISTICS.map((name) => (
              <option key={name} value={name}>
                {name.replaceAll('_', ' ')}
              </option>
            ))}
          </select>
        }
      >
        <Loaded of={found}>
          {() =>
            drawn.at.length === 0 ? (
              <Empty>
                Nothing was measured yet: a window is measured when it has ended, and labels have come.
              </Empty>
            ) : (
              <Series label={`${statistic} by window and version`} at={drawn.at} lines={drawn.lines} />
            )
          }
        </Loaded>
      </Panel>
      <Panel
        title="Calibration"
        note="Of a tenth of the requests each: how likely it said it was, and how often it was."
      >
        <Loaded of={found}>{({ measures }) => <Calibration measures={measures} />}</Loaded>
      </Panel>
    </div>
  );
}
