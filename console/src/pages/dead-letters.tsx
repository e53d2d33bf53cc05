import { useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { address, post } from '../lib/api.ts';
import { number, plural } from '../lib/format.ts';
import { useMayChange } from '../lib/project.tsx';
import { useResource } from '../lib/resource.ts';
import type { Letter, LetterCount, LetterReplay } from '../lib/types.ts';
import { Badge, Empty, Loaded, PageHead, Panel, Time, type Tone } from '../parts/basics.tsx';
import { ReasonDialog } from '../parts/reason-dialog.tsx';
import { RecordBytes } from '../parts/record-bytes.tsx';
import { type Column, Table } from '../parts/table.tsx';

/** What was refused? */
export function DeadLetters({ source }: { readonly source?: string | undefined }) {
  const counts = useResource<{ reasons: LetterCount[] }>('/v1/dead-letters', 5_000);
  const [search] = useSearchParams();
  const code = search.get('code') ?? '';
  return (
    <>
      <PageHead title="Dead letters" question="What was refused, and why?" />
      <Panel title="By reason" note="Records that were not taken. None is lost: each stands here whole.">
        <Loaded of={counts}>
          {({ reasons }) =>
            reasons.length === 0 ? (
              <Empty>Everything was taken.</Empty>
            ) : (
              <Table
                label="Refused records by reason"
                columns={COUNT_COLUMNS}
                rows={reasons}
                id={({ source: of, stage, code: reason }) => `${of} ${stage} ${reason}`}
              />
            )
          }
        </Loaded>
      </Panel>
      <ComeBack source={source} code={code} done={counts.reload} />
      {source !== undefined && <Newest source={source} code={code} />}
    </>
  );
}

const COUNT_COLUMNS: ReadonlyArray<Column<LetterCount>> = [
  { name: 'source', show: ({ source }) => source },
  { name: 'refused by', show: ({ stage }) => stage },
  {
    name: 'reason',
    show: ({ source, code }) => (
      <Link href={`/dead-letters/${encodeURIComponent(source)}?code=${encodeURIComponent(code)}`}>
        <code>{code}</code>
      </Link>
    ),
  },
  { name: 'records', figure: true, show: ({ records }) => number(records) },
  { name: 'first', show: ({ first }) => <Time at={first} /> },
  { name: 'last', show: ({ last }) => <Time at={last} /> },
];

type Outcome = LetterReplay['letters'][number]['outcome'];

const OUTCOMES: Readonly<Record<Outcome, { readonly tone: Tone; readonly says: string }>> = {
  live: { tone: 'good', says: 'would be accepted' },
  late: { tone: 'accent', says: 'too late for live: it would go into history, where training sees it' },
  refused: { tone: 'bad', says: 'would be refused again' },
  repeat: { tone: 'plain', says: 'an event of the same id was accepted' },
  done: { tone: 'plain', says: 'came back before' },
  exhausted: { tone: 'bad', says: 'was sent again three times, and refused each time' },
  gone: { tone: 'plain', says: 'cannot come back: cut, or refused by a view or a model alone' },
  imported: { tone: 'plain', says: 'rows of an imported file: mend the file and import it again' },
};

/** What would become of letters if they came again now, and the way back for those that would be taken. */
function ComeBack({
  source,
  code,
  done,
}: {
  readonly source: string | undefined;
  readonly code: string;
  readonly done: () => void;
}) {
  const mayChange = useMayChange();
  const [seen, setSeen] = useState<LetterReplay | null>(null);
  const [state, setState] = useState<{ readonly busy: boolean; readonly refused: string }>(IDLE);
  const [asking, setAsking] = useState(false);
  const ask = (more: { readonly dry_run: boolean; readonly effect?: boolean; readonly reason: string }) =>
    post<LetterReplay>('/v1/dead-letters/replay', {
      ...more,
      ...(source === undefined ? {} : { source }),
      ...(code === '' ? {} : { code }),
    });
  async function look(): Promise<void> {
    setState({ busy: true, refused: '' });
    try {
      setSeen(await ask({ dry_run: true, effect: true, reason: 'a look from the console' }));
      setState(IDLE);
    } catch (error) {
      setState({ busy: false, refused: (error as Error).message });
    }
  }
  if (!mayChange) return null;
  const ready = seen?.letters.filter(({ outcome }) => outcome === 'live' || outcome === 'late') ?? [];
  return (
    <Panel
      title="After a rule, mapping or schema was mended"
      note={`What would become of ${code === '' ? 'the letters' : `letters of ${code}`}${source === undefined ? '' : ` of ${source}`} if they came again now?`}
      actions={
        <>
          <button type="button" disabled={state.busy} onClick={look}>
            {state.busy ? 'Looking…' : 'Try it: dry run'}
          </button>
          {ready.length > 0 && seen?.applied === false && (
            <button type="button" onClick={() => setAsking(true)}>
              Send them again
            </button>
          )}
        </>
      }
    >
      {state.refused !== '' && (
        <p className="failure" role="alert">
          {state.refused}
        </p>
      )}
      {seen !== null && <Outcomes seen={seen} />}
      {asking && (
        <ReasonDialog
          title="Send dead letters again"
          about={`${plural(
            ready.reduce((sum, { letters }) => sum + letters, 0),
            'letter',
          )} come back under their own ids, once; late ones go into history.`}
          doIt="Send"
          perform={async (reason) => {
            setSeen(await ask({ dry_run: false, reason }));
            done();
          }}
          close={() => setAsking(false)}
        />
      )}
    </Panel>
  );
}

const IDLE = { busy: false, refused: '' };

function Outcomes({ seen }: { readonly seen: LetterReplay }) {
  if (seen.letters.length === 0) return <Empty>There is none.</Empty>;
  return (
    <>
      {seen.applied && (
        <p role="status">
          {plural(seen.sent, 'letter')} sent again, {number(seen.history)} put into history.
        </p>
      )}
      <Table
        label="What would become of dead letters"
        columns={[
          { name: 'source', show: ({ source }) => source },
          { name: 'was refused as', show: ({ reason }) => <code>{reason}</code> },
          { name: 'letters', figure: true, show: ({ letters }) => number(letters) },
          {
            name: 'now',
            show: ({ outcome, code }) => (
              <>
                <Badge tone={OUTCOMES[outcome].tone}>{outcome}</Badge> {OUTCOMES[outcome].says}
                {code === null ? '' : ` (${code})`}
              </>
            ),
          },
          { name: 'for example', show: ({ example }) => <code>{example}</code> },
        ]}
        rows={seen.letters}
        id={({ source, reason, outcome, code }) => `${source} ${reason} ${outcome} ${code}`}
      />
      {seen.effect !== null && <WhatChanges effect={seen.effect} />}
    </>
  );
}

type Effect = NonNullable<LetterReplay['effect']>;

/** Which features and decisions would change. */
function WhatChanges({ effect }: { readonly effect: Effect }) {
  return (
    <ul>
      {effect.features.map(({ view, entities, changed, example }) => (
        <li key={view}>
          <strong>{view}</strong>:{' '}
          {changed.length === 0
            ? `no feature of ${plural(entities, 'entity', 'entities')} changes; their windows are over.`
            : `${changed.map(({ feature, entities: n }) => `${feature} (${number(n)})`).join(', ')} of ${plural(entities, 'entity', 'entities')} would change.`}
          {example !== null && ` ${example.of}: ${example.before ?? 'null'} → ${example.after ?? 'null'}.`}
        </li>
      ))}
      {effect.decisions.map(({ model, asked, looked, vectors, decisions }) => (
        <li key={model}>
          <strong>{model}</strong>: {plural(asked, 'letter')} would be answered. Of{' '}
          {plural(looked, 'past request')} after them {number(vectors)} would have had other features
          {decisions === null ? '' : `, and ${number(decisions)} another decision`}; their answers stay as
          they are.
        </li>
      ))}
    </ul>
  );
}

const placeOf = ({ topic, partition, offset, stage }: Letter) => `${topic} ${partition}:${offset} ${stage}`;

function Newest({ source, code }: { readonly source: string; readonly code: string }) {
  const [, go] = useLocation();
  const found = useResource<{ letters: Letter[] }>(
    address(`/v1/dead-letters/${encodeURIComponent(source)}`, { code, limit: 50 }),
  );
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Panel
      title={`Newest of ${source}`}
      note={
        code === '' ? (
          'Of every reason.'
        ) : (
          <>
            Refused as <code>{code}</code>.
          </>
        )
      }
      actions={
        code === '' ? undefined : (
          <button type="button" onClick={() => go(`/dead-letters/${encodeURIComponent(source)}`)}>
            Every reason
          </button>
        )
      }
    >
      <Loaded of={found}>
        {({ letters }) => {
          if (letters.length === 0) return <Empty>None.</Empty>;
          const shown = letters.find((letter) => placeOf(letter) === open) ?? letters[0];
          return (
            <>
              {shown !== undefined && <Whole letter={shown} />}
              <Table
                label={`Refused records of ${source}`}
                columns={[
                  {
                    name: 'record',
                    show: (letter) => (
                      <button type="button" className="link" onClick={() => setOpen(placeOf(letter))}>
                        {letter.partition}:{letter.offset}
                      </button>
                    ),
                  },
                  { name: 'reason', show: ({ code: reason }) => <Badge tone="warn">{reason}</Badge> },
                  { name: 'in words', show: ({ detail }) => detail },
                  { name: 'arrived', show: ({ appendTime }) => <Time at={appendTime} /> },
                ]}
                rows={letters}
                id={placeOf}
              />
            </>
          );
        }}
      </Loaded>
    </Panel>
  );
}

/** One record as it came; of what a view refused there is none. */
function Whole({ letter: { value, partition, offset } }: { readonly letter: Letter }) {
  if (value === null)
    return <p className="muted">A view refused what the event adds to it; the event itself was taken.</p>;
  return <RecordBytes place={`${partition}:${offset}`} value={value} />;
}
