import { type FormEvent, useState } from 'react';
import { post } from '../lib/api.ts';

/** Asks for a key; the API answers with a session that no script can read. */
export function LogIn({ done }: { readonly done: () => void }) {
  const [refused, setRefused] = useState('');
  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget).get('key') ?? '').trim();
    try {
      await post('/v1/session', { key });
      done();
    } catch (error) {
      setRefused((error as Error).message);
    }
  }
  return (
    <main className="log-in">
      <form className="panel" onSubmit={submit}>
        <h1>Millrace</h1>
        <label>
          Your key
          <input name="key" type="password" required autoComplete="current-password" />
        </label>
        <p className="muted">`millrace keys create` makes one.</p>
        {refused !== '' && (
          <p className="failure" role="alert">
            {refused}
          </p>
        )}
        <button type="submit" className="primary">
          Log in
        </button>
      </form>
    </main>
  );
}
