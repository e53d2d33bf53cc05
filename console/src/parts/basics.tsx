import type { ReactNode } from 'react';
import { ApiProblem } from '../lib/api.ts';
import { ago, time } from '../lib/format.ts';
import type { Resource } from '../lib/resource.ts';

/** A titled part of a page. */
export function Panel({
  id,
  title,
  note,
  actions,
  children,
}: {
  /** What an address leads to it by. */
  readonly id?: string;
  readonly title: string;
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <section id={id} className="panel" aria-label={title}>
      <header className="panel-head">
        <h2>{title}</h2>
        {note !== undefined && <p className="muted">{note}</p>}
        {actions !== undefined && <div className="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** The question that a page answers, over its content. */
export function PageHead({
  title,
  question,
  children,
}: {
  readonly title: string;
  readonly question: string;
  readonly children?: ReactNode;
}) {
  return (
    <div className="page-head">
      <div>
        <h1>{title}</h1>
        <p className="muted">{question}</p>
      </div>
      {children !== undefined && <div className="actions">{children}</div>}
    </div>
  );
}

export function Empty({ children }: { readonly children: ReactNode }) {
  return <p className="empty">{children}</p>;
}

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'plain';

export function Badge({ tone = 'plain', children }: { readonly tone?: Tone; readonly children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

/** A time in UTC with how long ago it was on hovering. */
export function Time({ at }: { readonly at: number | null }) {
  if (at === null) return <span className="muted">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={ago(at)}>
      {time(at)}
    </time>
  );
}

/** One figure with its name. */
export function Figure({
  name,
  value,
  note,
  tone = 'plain',
}: {
  readonly name: string;
  readonly value: ReactNode;
  readonly note?: ReactNode;
  readonly tone?: Tone;
}) {
  return (
    <div className={`figure ${tone}`}>
      <span className="figure-name">{name}</span>
      <span className="figure-value">{value}</span>
      {note !== undefined && <span className="figure-note muted">{note}</span>}
    </div>
  );
}

/** A sentence about what the API said instead of an answer, and a way to ask again. */
export function Failure({ error, retry }: { readonly error: Error; readonly retry?: () => void }) {
  const known = error instanceof ApiProblem;
  return (
    <div className="failure" role="alert">
      <strong>{known ? error.message : 'The API does not answer.'}</strong>
      {!known && (
        <span>Is `millrace api` or `millrace dev` still running? The page asks again by itself.</span>
      )}
      {retry !== undefined && (
        <button type="button" onClick={retry}>
          Ask again
        </button>
      )}
    </div>
  );
}

/** Shows what an address answers, what it refuses, and that it is being asked. What it answered last stays while it is away. */
export function Loaded<T>({
  of,
  children,
}: {
  readonly of: Resource<T>;
  readonly children: (data: T) => ReactNode;
}) {
  if (of.data === null)
    return of.error === null ? (
      <p className="empty" aria-busy="true">
        Looking …
      </p>
    ) : (
      <Failure error={of.error} retry={of.reload} />
    );
  return (
    <>
      {of.error !== null && (
        <p className="stale" role="status">
          The API does not answer; this is from {of.at === null ? 'before' : ago(of.at)}.
        </p>
      )}
      {children(of.data)}
    </>
  );
}
