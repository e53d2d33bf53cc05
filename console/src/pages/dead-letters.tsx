import { useMemo, useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { address } from '../lib/api.ts';
import { bytesOf, hexOf, textOf } from '../lib/bytes.ts';
import { number, plural } from '../lib/format.ts';
import { useResource } from '../lib/resource.ts';
import type { Letter, LetterCount } from '../lib/types.ts';
import { Badge, Empty, Loaded, PageHead, Panel, Time } from '../parts/basics.tsx';
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

const SHOWN_BYTES = 4_096;

/** One record as text and as bytes. */
function Whole({ letter }: { readonly letter: Letter }) {
  const bytes = useMemo(() => (letter.value === null ? null : bytesOf(letter.value)), [letter.value]);
  if (bytes === null)
    return <p className="muted">A view refused what the event adds to it; the event itself was taken.</p>;
  const cut = bytes.subarray(0, SHOWN_BYTES);
  return (
    <div className="two">
      <div>
        <h3>
          {letter.partition}:{letter.offset} as text, {plural(bytes.length, 'byte')}
        </h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <pre tabIndex={0}>{textOf(cut)}</pre>
      </div>
      <div>
        <h3>as bytes</h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <pre tabIndex={0} className="hex">
          {hexOf(cut)}
        </pre>
      </div>
    </div>
  );
}
