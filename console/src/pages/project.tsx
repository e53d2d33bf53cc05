import { useState } from 'react';
import { Link } from 'wouter';
import type { Answers } from '../lib/answers.ts';
import { number, plural, span } from '../lib/format.ts';
import { useProject } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import type { Project } from '../lib/types.ts';
import { Loaded, PageHead, Panel } from '../parts/basics.tsx';
import { Table } from '../parts/table.tsx';

/** A view as its file says it, once that is asked for. */
function Written({ view }: { readonly view: string }) {
  const [open, setOpen] = useState(false);
  const path = `/v1/views/${encodeURIComponent(view)}/declaration`;
  const text = useResource<Answers['getDeclaration']>(open ? path : null);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{view} as it is written</summary>
      {open && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <Loaded of={text}>{({ text: yaml }) => <pre tabIndex={0}>{yaml}</pre>}</Loaded>
      )}
    </details>
  );
}

type Declares = Project['models'][number];

/** Where a value of the vector comes from: a view, an expression, or the request itself. */
function From({
  one: { expression, read },
  views,
}: {
  readonly one: Declares['features'][number];
  readonly views: Declares['reads'];
}) {
  if (expression !== null) return <code>{expression}</code>;
  if (read === null) return 'the request';
  const of = views.find(({ name }) => name === read);
  return `view ${of?.view.split('@')[0] ?? read}, by ${of?.key.join(', ') ?? ''}`;
}

const kilobytes = (bytes: number): string => `${number(Math.ceil(bytes / 1_024))} kB`;

/** What is declared? */
export function Declared() {
  const project = useProject();
  return (
    <>
      <PageHead title="Project" question="What is declared?" />
      {project.sources.map((source) => (
        <Panel
          key={source.source}
          title={`Source ${source.source}`}
          note={`${source.format}, keyed by ${source.key}, ${source.partitions} partitions, out of order up to ${span(source.outOfOrdernessMs)}`}
        >
          <div className="two">
            <Table
              label={`Fields of ${source.source}`}
              columns={[
                { name: 'field', show: ({ name }) => <code>{name}</code> },
                { name: 'type', show: ({ type }) => type },
              ]}
              rows={source.fields}
              id={({ name }) => name}
            />
            <Table
              label={`Events of ${source.source}`}
              columns={[
                { name: 'event', show: ({ type }) => <code>{type}</code> },
                { name: 'must have', show: ({ required }) => required.join(', ') },
                { name: 'rules', show: ({ rules }) => rules.join(', ') || '–' },
              ]}
              rows={source.events}
              id={({ type }) => type}
            />
          </div>
        </Panel>
      ))}
      {project.views.map((view) => (
        <Panel
          key={view.id}
          title={`View ${view.view}`}
          note={`By ${view.entity.join(', ')}, from ${view.sources.join(', ')}; exact to ${span(view.resolutionMs)}, read ${span(view.readDelayMs)} behind the request, slack ${span(view.slackMs)}. At worst an entity takes ${kilobytes(view.worstBytes)} in the online store, in ${plural(view.worstTiles, 'tile')}.`}
          actions={<Link href={`/try?view=${encodeURIComponent(view.view)}`}>Try a change</Link>}
        >
          <Table
            label={`Features of ${view.view}`}
            columns={[
              { name: 'feature', show: ({ name }) => <code>{name}</code> },
              { name: 'aggregation', show: ({ aggregation }) => aggregation },
            ]}
            rows={view.features}
            id={({ name }) => name}
          />
          <Written view={view.view} />
        </Panel>
      ))}
      {project.models.map((model) => (
        <Panel
          key={model.model}
          title={`Model ${model.model}`}
          note={`Answers ${model.request.eventType} of ${model.request.source}; learns from ${model.label.eventType}; says yes from ${model.threshold} on`}
        >
          <Table
            label={`Features of ${model.model}`}
            columns={[
              { name: 'feature', show: ({ name }) => <code>{name}</code> },
              {
                name: 'from',
                show: (one) => <From one={one} views={model.reads} />,
              },
            ]}
            rows={model.features}
            id={({ name }) => name}
          />
        </Panel>
      ))}
    </>
  );
}
