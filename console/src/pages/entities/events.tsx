import { useMemo } from 'react';
import { Link } from 'wouter';
import { address } from '../../lib/api.ts';
import { time } from '../../lib/format.ts';
import { useProject } from '../../lib/project.tsx';
import { useResource } from '../../lib/resource.ts';
import type { EntityEvents } from '../../lib/types.ts';
import { Badge, Empty, Loaded, Panel, Time } from '../../parts/basics.tsx';
import { LongTable } from '../../parts/long-table.tsx';
import type { View } from './features.tsx';

type Event = EntityEvents['events'][number];

const SHOWN = 500;

/** What happened to an entity, the newest first; each event leads to what was known just after it. */
export function EntityTimeline({
  view,
  entity,
  at,
}: {
  readonly view: View;
  readonly entity: string;
  readonly at: string;
}) {
  const { sources } = useProject();
  const times = useMemo(
    () =>
      new Set(
        sources.flatMap(({ source, fields }) =>
          fields.flatMap(({ name, type }) => (type === 'timestamp' ? [`${source} ${name}`] : [])),
        ),
      ),
    [sources],
  );
  const found = useResource<EntityEvents>(
    address(`/v1/features/${encodeURIComponent(view.view)}/events`, { entity, to: at, limit: SHOWN }),
    at === '' ? 5_000 : null,
  );
  return (
    <Panel
      title="Its events"
      note={`Accepted events of ${view.sources.join(', ')}, the newest first${at === '' ? '' : `, before ${at}`}. A time leads to what was known then.`}
    >
      <Loaded of={found}>
        {({ events }) =>
          events.length === 0 ? (
            <Empty>None in the archive.</Empty>
          ) : (
            <>
              <Moments events={events} />
              <LongTable
                label={`Events of ${entity}`}
                columns={[
                  {
                    name: 'event time',
                    show: (one) => (
                      <Link
                        href={address('/entities', {
                          view: view.view,
                          entity,
                          at: new Date(one.time + 1).toISOString(),
                        })}
                      >
                        <Time at={one.time} />
                      </Link>
                    ),
                  },
                  {
                    name: 'event',
                    show: ({ type, imported }) => (
                      <>
                        <code>{type}</code> {imported && <Badge>history</Badge>}
                      </>
                    ),
                  },
                  { name: 'fields', show: (one) => <code>{said(one, times)}</code> },
                ]}
                widths="11rem 14rem minmax(14rem, 1fr)"
                rows={events}
                id={({ source, id, partition, offset }) => `${source} ${id} ${partition} ${offset}`}
              />
            </>
          )
        }
      </Loaded>
    </Panel>
  );
}

/** @param times source and field of what is a time. */
const said = ({ source, fields }: Event, times: ReadonlySet<string>): string =>
  Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => {
      const isTime = typeof value === 'number' && times.has(`${source} ${name}`);
      return `${name}=${isTime ? new Date(value).toISOString() : value}`;
    })
    .join(' ');

const WIDE = 1_000;

/** When they happened, on a line from the oldest to the newest. */
function Moments({ events }: { readonly events: readonly Event[] }) {
  const newest = events[0]?.time ?? 0;
  const oldest = events.at(-1)?.time ?? 0;
  const length = Math.max(1, newest - oldest);
  return (
    <figure className="spread">
      <svg
        className="timeline"
        viewBox={`-5 0 ${WIDE + 10} 40`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${events.length} events from ${time(oldest)} to ${time(newest)}`}
      >
        <line x1={0} x2={WIDE} y1={30} y2={30} />
        {events.map(({ id, source, offset, partition, time: at }) => {
          const x = ((at - oldest) / length) * WIDE;
          return (
            <line
              key={`${source} ${id} ${partition} ${offset}`}
              className="moment"
              x1={x}
              x2={x}
              y1={8}
              y2={30}
            />
          );
        })}
      </svg>
      <figcaption className="muted">
        {time(oldest)} to {time(newest)}
      </figcaption>
    </figure>
  );
}
