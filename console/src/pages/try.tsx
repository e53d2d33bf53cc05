import { type FormEvent, useEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { FeatureSummary } from '../../../models/feature-summary.ts';
import { get, post } from '../lib/api.ts';
import { number, plural, span } from '../lib/format.ts';
import { jobResult, type Trial } from '../lib/jobs.ts';
import { useMayChange, useProject } from '../lib/project.tsx';
import { Empty, Failure, Figure, PageHead, Panel } from '../parts/basics.tsx';
import { type Column, Table } from '../parts/table.tsx';

const NEW =
  'view: \nentity: []\nresolution: 1m\nfeatures:\n  - { name: events, aggregation: count, windows: [1h, 1d] }\n';

interface State {
  readonly doing: string | null;
  readonly trial: Trial | null;
  readonly error: Error | null;
}

/** What would a changed view say? Tried on history before it is applied. */
export function TryView() {
  const { views } = useProject();
  const may = useMayChange();
  const [search, setSearch] = useSearchParams();
  const view = search.get('view') ?? '';
  const [text, setText] = useState('');
  const [state, setState] = useState<State>({ doing: null, trial: null, error: null });
  useEffect(() => {
    // Nothing can be tried before the declaration is there.
    setText(view === '' ? NEW : '');
    if (view === '') return;
    get<{ text: string }>(`/v1/views/${encodeURIComponent(view)}/declaration`).then(
      (found) => setText(found.text),
      (error: Error) => setState({ doing: null, trial: null, error }),
    );
  }, [view]);

  async function tryIt(event: FormEvent): Promise<void> {
    event.preventDefault();
    setState({ doing: 'compiles it', trial: null, error: null });
    try {
      const { id } = await post<{ id: string }>('/v1/try', { declaration: text });
      const trial = await jobResult<Trial>(id, (doing) => setState({ doing, trial: null, error: null }));
      setState({ doing: null, trial, error: null });
    } catch (error) {
      setState({ doing: null, trial: null, error: error as Error });
    }
  }
  const { doing, trial, error } = state;
  return (
    <>
      <PageHead title="Try a view" question="What would it say, before it is applied?">
        <Link href="/project">What is declared</Link>
      </PageHead>
      <Panel
        title="Declaration"
        note="Change it and see its values at the last events of the archive. Nothing is applied: that is done by changing the file."
        actions={
          <select
            aria-label="View"
            value={view}
            onChange={(event) => setSearch(event.target.value === '' ? {} : { view: event.target.value })}
          >
            <option value="">a new one</option>
            {views.map(({ view: name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        }
      >
        <form className="sql" onSubmit={(event) => void tryIt(event)}>
          <textarea
            aria-label="Declaration of the view, YAML"
            className="tall"
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <div className="actions">
            {may ? (
              <button type="submit" className="primary" disabled={doing !== null || text.trim() === ''}>
                Try it
              </button>
            ) : (
              <span className="muted">A key with the role operator may try it.</span>
            )}
            {doing !== null && (
              <span className="muted" role="status">
                {doing} …
              </span>
            )}
          </div>
        </form>
      </Panel>
      {error !== null && <Failure error={error} />}
      {trial !== null && <Values trial={trial} />}
    </>
  );
}

function Values({ trial }: { readonly trial: Trial }) {
  const { features, before, reads, entities, events, ms, cost, view, replaces, same } = trial;
  const old = new Map(before?.map((one) => [one.name, one]));
  const columns: Column<FeatureSummary>[] = [
    { name: 'feature', show: ({ name }) => <code>{name}</code> },
    { name: 'no value', figure: true, show: ({ nulls }) => percent(nulls) },
    { name: 'least', figure: true, show: ({ least }) => number(least) },
    { name: 'mean', figure: true, show: ({ mean }) => number(mean) },
    { name: 'largest', figure: true, show: ({ largest }) => number(largest) },
    { name: 'at the last events', show: ({ last }) => last.map(number).join('   ') },
  ];
  if (before !== null)
    columns.splice(4, 0, {
      name: 'mean as it is now',
      figure: true,
      show: ({ name }) => (old.has(name) ? number(old.get(name)?.mean) : 'new'),
    });
  return (
    <Panel
      title={`${view} at ${plural(reads, 'event')}`}
      note={
        same
          ? 'The text is the one that the project has.'
          : replaces
            ? 'It would take the place of the view of this name.'
            : 'It would be new.'
      }
    >
      <div className="figures">
        <Figure name="entities" value={number(entities)} />
        <Figure name="events folded" value={number(events)} note={`in ${span(ms)}`} />
        <Figure
          name="at worst, an entity"
          value={`${number(Math.ceil(cost.worstBytes / 1_024))} kB`}
          note={plural(cost.worstTiles, 'tile')}
        />
      </div>
      {features.length === 0 ? (
        <Empty>It has no feature.</Empty>
      ) : (
        <Table label="Values" columns={columns} rows={features} id={({ name }) => name} />
      )}
    </Panel>
  );
}

const percent = (share: number): string => `${number(Math.round(share * 1_000) / 10)} %`;
