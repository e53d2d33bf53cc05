import type { EventMapping } from './project.ts';

/**
 * What a record of Kafka says beside its value: a mapping may take an event's id, type, time and fields from there, as CloudEvents in
 * binary mode have them. Where there is no envelope (files, records that a replay wrote) the value holds blocks of the same names.
 */
export interface Envelope {
  /** A header as text, or null; its bytes where they are no text in UTF-8. */
  readonly header: (name: string) => string | Uint8Array | null;
  readonly key: string | Uint8Array | null;
  /** When the broker stamped the record, epoch ms. */
  readonly timestamp: number;
}

const HEADERS = '$headers';
const KEY = '$key';
const TIMESTAMP = '$timestamp';
const ENVELOPE_NAMES: readonly string[] = [HEADERS, KEY, TIMESTAMP];

/** The steps of a path; the name of a header may hold dots. */
export function stepsOf(path: string): string[] {
  return path.startsWith(`${HEADERS}.`) ? [HEADERS, path.slice(HEADERS.length + 1)] : path.split('.');
}

export const isOfEnvelope = (steps: readonly string[]): boolean => ENVELOPE_NAMES.includes(steps[0] ?? '');

export function envelopeValue(
  envelope: Envelope,
  [root, name = '']: readonly string[],
): string | number | Uint8Array | null {
  if (root === HEADERS) return envelope.header(name);
  return root === KEY ? envelope.key : envelope.timestamp;
}

/** Whether a mapping takes anything from the envelope. */
export function readsEnvelope({ id, type, time, fields }: EventMapping): boolean {
  const paths = [id, time.path, ...('path' in type ? [type.path] : []), ...Object.values(fields)];
  return paths.some((path) => isOfEnvelope(stepsOf(path)));
}
