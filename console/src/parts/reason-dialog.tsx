import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react';

/** Asks why before something is changed; the reason is kept with the change. */
export function ReasonDialog({
  title,
  about,
  doIt,
  perform,
  close,
  children,
}: {
  readonly title: string;
  readonly about: string;
  /** Word on the button. */
  readonly doIt: string;
  /** Rejects where the API refuses. */
  readonly perform: (reason: string) => Promise<unknown>;
  readonly close: () => void;
  /** What else is to be chosen, over the reason. */
  readonly children?: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [state, setState] = useState<{ readonly busy: boolean; readonly refused: string }>({
    busy: false,
    refused: '',
  });

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setState({ busy: true, refused: '' });
    try {
      await perform(reason.trim());
      close();
    } catch (error) {
      setState({ busy: false, refused: (error as Error).message });
    }
  }

  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="reason-title">
      <form onSubmit={submit}>
        <h2 id="reason-title">{title}</h2>
        <p className="muted">{about}</p>
        {children}
        <label>
          Why? It is kept with the change.
          <textarea
            required
            rows={3}
            maxLength={1000}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
        {state.refused !== '' && (
          <p className="failure" role="alert">
            {state.refused}
          </p>
        )}
        <div className="actions">
          <button type="button" onClick={close}>
            Leave it
          </button>
          <button type="submit" className="primary" disabled={state.busy || reason.trim() === ''}>
            {doIt}
          </button>
        </div>
      </form>
    </dialog>
  );
}
