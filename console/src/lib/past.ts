import { ApiProblem } from './api.ts';
import { jobResult } from './jobs.ts';

/**
 * The features of an entity as a request at a time in the past would have read them, computed from the archive: for times that the
 * online store keeps no more. By name. Throws ApiProblem.
 *
 * @param fields fields of the key, with their values.
 * @param at epoch ms, or ISO 8601 with a zone.
 */
export async function featuresThen(
  view: string,
  fields: Readonly<Record<string, string>>,
  at: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number | null>>> {
  const time = /^-?\d+$/.test(at) ? Number(at) : at;
  const begun = await fetch(`/v1/history?views=${encodeURIComponent(view)}&time=at_time`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', accept: 'application/json' },
    body: JSON.stringify({ ...fields, at_time: time }),
    signal,
  });
  const body = (await begun.json()) as {
    readonly id: string;
    readonly code?: string;
    readonly detail?: string;
  };
  if (!begun.ok)
    throw new ApiProblem(begun.status, body.code ?? 'failed', body.detail ?? 'The API refuses it.');
  const row = await jobResult<Record<string, number | null>>(body.id, undefined, signal);
  const own = `${view}.`;
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]) =>
      name.startsWith(own) ? [[name.slice(own.length), value]] : [],
    ),
  );
}
