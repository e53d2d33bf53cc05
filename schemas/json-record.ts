import type { EventRecord, Scalar } from './event.ts';
import type { EventMapping, Source } from './project.ts';

type Block = { [key: string]: Scalar | Block };

/** Puts a value at a path; false where something that is no block, or another value, stands in the way. */
function put(record: Block, path: readonly string[], value: Scalar): boolean {
  let block = record;
  for (const step of path.slice(0, -1)) {
    block[step] ??= {};
    const next = block[step];
    if (typeof next !== 'object' || next === null) return false;
    block = next;
  }
  const last = path.at(-1) ?? '';
  const known = block[last];
  if (known !== undefined && known !== value) return false;
  block[last] = value;
  return true;
}

/**
 * Writes events as a team's own JSON records, where the mapping of their source reads them: what a replay and
 * the tests send. Only what the mapping names can be written; fields that are null are left out.
 *
 * Throws TypeError for an event that the mapping cannot carry (one path for two different values).
 */
export function createJsonEncoder(source: Source, mapping: EventMapping): (event: EventRecord) => Uint8Array {
  const { time, type } = mapping;
  const stepsOf = (path: string) => path.split('.');
  const idPath = stepsOf(mapping.id);
  const typePath = 'path' in type ? stepsOf(type.path) : null;
  const timePath = stepsOf(time.path);
  const fields = source.fields.map(({ name }) => ({ name, path: stepsOf(mapping.fields[name] ?? name) }));
  const written = (ms: number): Scalar => {
    if (time.unit === 'iso') return new Date(ms).toISOString();
    return time.unit === 's' ? ms / 1000 : ms;
  };

  return function encodeJson(event) {
    const record: Block = {};
    const write = (path: readonly string[], value: Scalar, name: string) => {
      if (!put(record, path, value))
        throw new TypeError(
          `the mapping of ${source.name} cannot write '${name}' at ${path.join('.')}: another value is there`,
        );
    };
    write(idPath, event.id, 'id');
    if (typePath !== null) write(typePath, event.type, 'type');
    write(timePath, written(event.time), 'time');
    for (const { name, path } of fields) {
      const value = event[name];
      if (value !== null && value !== undefined) write(path, value, name);
    }
    return Buffer.from(JSON.stringify(record), 'utf8');
  };
}
