import { Link } from 'wouter';
import { address } from '../../lib/api.ts';
import { plural, time } from '../../lib/format.ts';
import { useResource } from '../../lib/resource.ts';
import type { Entities } from '../../lib/types.ts';
import { Empty, Loaded, Panel } from '../../parts/basics.tsx';
import type { View } from './features.tsx';

/** Entities of each view that had most events lately: who does not know a key begins with one of them. */
export function Recent({ views }: { readonly views: readonly View[] }) {
  return views.map((view) => <RecentOf key={view.view} view={view} />);
}

function RecentOf({ view: { view, entity: fields, sources } }: { readonly view: View }) {
  const found = useResource<Entities>(`/v1/features/${encodeURIComponent(view)}/entities`, 30_000);
  return (
    <Panel
      title={`View ${view}`}
      note={`By ${fields.join(', ')}: those with most of the newest events of ${sources.join(', ')}.`}
    >
      <Loaded of={found}>
        {({ entities }) =>
          entities.length === 0 ? (
            <Empty>None in the archive.</Empty>
          ) : (
            <ul className="keys">
              {entities.map(({ entity, events, last }) => (
                <li key={entity}>
                  <Link
                    href={address('/entities', { view, entity })}
                    title={`${plural(events, 'event')}, the last one ${time(last)}`}
                  >
                    {entity.replaceAll('|', ', ')}
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Panel>
  );
}
