import { type FormEvent, type KeyboardEvent, useEffect, useState } from 'react';
import { useSearchParams } from 'wouter';
import { tables } from '../../../schemas/names.ts';
import { post } from '../lib/api.ts';
import { number, plural, span } from '../lib/format.ts';
import { useMayChange, useProject } from '../lib/project.tsx';
import type { SqlAnswer } from '../lib/types.ts';
import { Empty, Failure, PageHead, Panel } from '../parts/basics.tsx';
import { LongTable } from '../parts/long-table.tsx';

const LIMIT = 1_000;

/** What does the archive say? A scratch pad that reads and never writes. */
export function Sql() {
  const may = useMayChange();
  const [search, setSearch] = useSearchParams();
  const [sql, setSql] = useState(search.get('sql') ?? '');
  const [state, setState] = useState<{
    readonly busy: boolean;
    readonly answer: SqlAnswer | null;
    readonly error: Error | null;
  }>({ busy: false, answer: null, error: null });

  async function ask(): Promise<void> {
    setSearch({ sql }, { replace: true });
    setState((before) => ({ ...before, busy: true, error: null }));
    try {
      setState({ busy: false, answer: await post<SqlAnswer>('/v1/sql', { sql, limit: LIMIT }), error: null });
    } catch (error) {
      setState({ busy: false, answer: null, error: error as Error });
    }
  }
  const { busy, answer, error } = state;
  return (
    <>
      <PageHead title="SQL" question="What does the archive say?" />
      <Panel
        title="Ask ClickHouse"
        note={`It reads only, ends after 10 s, and gives ${number(LIMIT)} rows at most. The address keeps the question.`}
      >
        {may ? (
          <>
            <form
              className="sql"
              onSubmit={(event: FormEvent) => {
                event.preventDefault();
                void ask();
              }}
            >
              <textarea
                aria-label="Statement"
                spellCheck={false}
                value={sql}
                onChange={(event) => setSql(event.target.value)}
                onKeyDown={(event: KeyboardEvent) => {
                  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
                  event.preventDefault();
                  void ask();
                }}
              />
              <div className="actions">
                <button type="submit" className="primary" disabled={busy || sql.trim() === ''}>
                  {busy ? 'Asking …' : 'Ask'}
                </button>
                <span className="muted">or Ctrl-Enter</span>
              </div>
            </form>
            <Questions choose={setSql} />
            <Tables choose={(table) => setSql(`SELECT * FROM ${table} LIMIT 100`)} />
          </>
        ) : (
          <Empty>A key with the role operator may ask: SQL reaches more than the pages show.</Empty>
        )}
      </Panel>
      {error !== null && <Failure error={error} />}
      {answer !== null && <Rows answer={answer} />}
    </>
  );
}

/** Questions that many begin with; one fills the statement. */
function Questions({ choose }: { readonly choose: (sql: string) => void }) {
  const { prefix, models, sources } = useProject();
  const all = [
    ...models.map(({ model }) => [
      `predictions of ${model} by day`,
      byDay(tables.predictions(prefix, model)),
    ]),
    ...sources.map(({ source }) => [
      `events of ${source} by type and day`,
      `SELECT toDate(time) AS day, type, count() AS events\nFROM ${tables.events(prefix, source)} FINAL\nGROUP BY day, type ORDER BY day DESC, type`,
    ]),
  ] as const;
  return (
    <p className="actions tables">
      <span className="muted">Questions to begin with:</span>
      {all.map(([said = '', sql = '']) => (
        <button key={said} type="button" className="link" onClick={() => choose(sql)}>
          {said}
        </button>
      ))}
    </p>
  );
}

const byDay = (table: string): string =>
  `SELECT toDate(request_time) AS day, count() AS requests, countIf(decision) AS yes, round(avg(score), 4) AS mean_score\nFROM ${table} FINAL\nGROUP BY day ORDER BY day DESC`;

/** What there is to ask, the project's own first; one fills the statement. */
function Tables({ choose }: { readonly choose: (table: string) => void }) {
  const { prefix } = useProject();
  const [found, setFound] = useState<readonly string[]>([]);
  useEffect(() => {
    post<SqlAnswer>('/v1/sql', { sql: 'SHOW TABLES' }).then(
      ({ rows }) => setFound(rows.map(([name]) => String(name))),
      () => {},
    );
  }, []);
  if (found.length === 0) return null;
  const own = tables.events(prefix, '').replace(/events_$/, '');
  const sorted = found.toSorted((a, b) => Number(b.startsWith(own)) - Number(a.startsWith(own)));
  return (
    <p className="actions tables">
      <span className="muted">Tables and views:</span>
      {sorted.map((table) => (
        <button key={table} type="button" className="link" onClick={() => choose(table)}>
          <code>{table}</code>
        </button>
      ))}
    </p>
  );
}

function Rows({ answer: { columns, rows, cut, ms } }: { readonly answer: SqlAnswer }) {
  if (rows.length === 0) return <Empty>No row, in {span(ms)}.</Empty>;
  return (
    <Panel
      title="Answer"
      note={`${plural(rows.length, 'row')}${cut ? ', and there are more' : ''}, in ${span(ms)}.`}
    >
      <LongTable
        label="Rows"
        columns={columns.map(({ name, type }, i) => ({
          name,
          figure: /^(Nullable\()?(U?Int|Float|Decimal)/.test(type),
          show: (row: readonly unknown[]) => shown(row[i]),
        }))}
        widths={`repeat(${columns.length}, minmax(8rem, 1fr))`}
        rows={rows}
        id={(row) => String(rows.indexOf(row))}
      />
    </Panel>
  );
}

const shown = (value: unknown): string =>
  value === null ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value);
