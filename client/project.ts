import { loadProject } from '../config/load.ts';
import { localVariables } from '../infrastructure/local/addresses.ts';
import { DecodeFailure } from '../schemas/codec.ts';
import type { EventRecord } from '../schemas/event.ts';
import { createEventMapper } from '../schemas/event-mapping.ts';
import type { Project } from '../schemas/project.ts';

/**
 * The project in a directory, with its connections as the command line finds them: variables of the environment,
 * else the local stack where one runs. Throws ConfigError.
 */
export function openProject(directory: string): Project {
  return loadProject(directory, { environment: { ...localVariables(), ...process.env } });
}

/**
 * A team's own JSON records as events of a source, by the mapping that the source declares. Throws TypeError for one
 * that is not what the mapping says.
 */
export function eventsOf(project: Project, name: string, records: readonly unknown[]): EventRecord[] {
  const source = project.sources.find((one) => one.name === name);
  if (source === undefined || source.format.kind === 'avro')
    throw new TypeError(`the project ${project.name} has no source '${name}' with a mapping of records`);
  const map = createEventMapper(source, source.format.mapping);
  return records.map((record, row) => {
    const event = map(record);
    if (event instanceof DecodeFailure) throw new TypeError(`record ${row}: ${event.detail}`);
    return event;
  });
}
