import { useState } from 'react';
import { post } from '../../lib/api.ts';
import { time } from '../../lib/format.ts';
import { useMayChange } from '../../lib/project.tsx';
import type { Resource } from '../../lib/resource.ts';
import type { Alert, Silence } from '../../lib/types.ts';
import { Badge, Empty, Loaded, Panel, Time } from '../../parts/basics.tsx';
import { ReasonDialog } from '../../parts/reason-dialog.tsx';
import { Table } from '../../parts/table.tsx';

/** Who keeps an alert quiet, until when, and why. */
export function Held({ silence }: { readonly silence: Silence | undefined }) {
  if (silence === undefined) return null;
  const { by, until, reason } = silence;
  return (
    <span title={reason}>
      <Badge tone="accent">{by}</Badge> <span className="muted">until {time(until)}</span>
    </span>
  );
}

export function Silences({ of }: { readonly of: Resource<{ readonly silences: Silence[] }> }) {
  const may = useMayChange();
  const [ending, setEnding] = useState<Silence | null>(null);
  return (
    <Panel title="Silences" note="Nobody is told of these; they stay in the list above.">
      <Loaded of={of}>
        {({ silences: all }) =>
          all.length === 0 ? (
            <Empty>Nothing is silenced.</Empty>
          ) : (
            <Table
              label="Silences"
              columns={[
                { name: 'rule', show: ({ rule }) => rule || 'every rule' },
                { name: 'model', show: ({ model }) => model || 'every model' },
                { name: 'subject', show: ({ subject }) => subject || 'every subject' },
                { name: 'until', show: ({ until }) => <Time at={until} /> },
                { name: 'by', show: ({ by }) => by },
                { name: 'why', wide: true, show: ({ reason }) => reason },
                {
                  name: 'change',
                  show: (one) =>
                    may ? (
                      <button type="button" onClick={() => setEnding(one)}>
                        End it
                      </button>
                    ) : null,
                },
              ]}
              rows={all}
              id={({ id }) => id}
            />
          )
        }
      </Loaded>
      {ending !== null && (
        <ReasonDialog
          title="End a silence"
          about="Somebody is told again of what fires from now on."
          doIt="End the silence"
          perform={(reason) =>
            post(`/v1/silences/${encodeURIComponent(ending.id)}/end`, { reason }).then(of.reload)
          }
          close={() => setEnding(null)}
        />
      )}
    </Panel>
  );
}

/** How wide a silence that begins at an alert reaches. */
const REACHES = ['alert', 'rule', 'model'] as const;
type Reach = (typeof REACHES)[number];
const LENGTHS = { '1h': 'an hour', '4h': 'four hours', '1d': 'a day', '7d': 'a week' } as const;

/** What the API is to silence: the names that are given hold, and what is left out holds for all. */
function named({ rule, model, subject }: Alert, reach: Reach): Record<string, string> {
  const of = { alert: { rule, model, subject }, rule: { rule }, model: { model } }[reach];
  return Object.fromEntries(Object.entries(of).filter(([, name]) => name !== ''));
}

export function SilenceDialog({
  alert,
  done,
  close,
}: {
  readonly alert: Alert;
  readonly done: () => void;
  readonly close: () => void;
}) {
  const [reach, setReach] = useState<Reach>('alert');
  const [length, setLength] = useState<keyof typeof LENGTHS>('1h');
  const said: Readonly<Record<Reach, string>> = {
    alert: [alert.rule, alert.model, alert.subject].filter((name) => name !== '').join(' of '),
    rule: `every alert of the rule ${alert.rule}`,
    model: `every alert of the model ${alert.model}`,
  };
  return (
    <ReasonDialog
      title="Silence alerts"
      about="Nobody is told of them for a while, by the wall clock. They stay in the list."
      doIt="Silence them"
      perform={(reason) => post('/v1/silences', { ...named(alert, reach), for: length, reason }).then(done)}
      close={close}
    >
      <label>
        What
        <select value={reach} onChange={(event) => setReach(event.target.value as Reach)}>
          {REACHES.filter((one) => one !== 'model' || alert.model !== '').map((one) => (
            <option key={one} value={one}>
              {said[one]}
            </option>
          ))}
        </select>
      </label>
      <label>
        For
        <select value={length} onChange={(event) => setLength(event.target.value as keyof typeof LENGTHS)}>
          {Object.entries(LENGTHS).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
    </ReasonDialog>
  );
}
