import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { archiveTables } from '../../streams/archive/tables.ts';
import { boundsOf, readTopic } from '../../streams/runtime/topic.ts';
import type { World } from './world.ts';

let inserts = 0;

/** Puts all that a world's topics hold into the tables of its project, as the archive does, and nothing else. */
export async function archiveWorld(
  { broker, codecs, project }: Pick<World, 'broker' | 'codecs' | 'project'>,
  warehouse: Warehouse,
): Promise<void> {
  await ensureTables(warehouse, project);
  const kafka = broker.kafka();
  for (const { topic, table, columns, format, add, drain, decode } of archiveTables(project, codecs)) {
    await warehouse.command(`TRUNCATE TABLE ${table}`);
    let rows = 0;
    await readTopic(kafka, topic, await boundsOf(kafka, topic), (record) => {
      if (record.value === null) return;
      const decoded = decode(record, record.value);
      if (decoded === null) throw new Error(`a record on ${topic} is none of ours`);
      add(decoded.row);
      rows += 1;
    });
    inserts += 1;
    if (rows > 0) await warehouse.insertRaw(table, columns, format, drain(), { token: `${inserts}` });
  }
}
