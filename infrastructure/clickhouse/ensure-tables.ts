import { createHash } from 'node:crypto';
import type { Project } from '../../schemas/project.ts';
import type { ColumnSpec, TableSpec } from './columns.ts';
import { WarehouseError } from './errors.ts';
import type { Warehouse } from './port.ts';
import { quoteName, quoteText, tableSpecs, type ViewSpec, viewSpecs } from './tables.ts';

export interface TableChange {
  readonly kind: 'table';
  readonly name: string;
  readonly action: 'create' | 'update' | 'keep' | 'conflict';
  /** One sentence for a person. */
  readonly detail: string;
}

/** Inserts whose tokens a table remembers: more than an archive can have under way, or try again, at once. */
const DEDUPLICATION_WINDOW = 10_000;

/** A table says whose it is, so that removing one project cannot take a table of another with a longer name. */
const ownerOf = (prefix: string) => `millrace:${prefix} `;

function columnSql({ name, type, comment }: ColumnSpec): string {
  return `${quoteName(name)} ${type}${comment === '' ? '' : ` COMMENT ${quoteText(comment)}`}`;
}

function createTableSql(table: TableSpec, prefix: string): string {
  const parts = [...table.columns.map(columnSql), ...table.indexes];
  return [
    `CREATE TABLE IF NOT EXISTS ${quoteName(table.name)} (\n  ${parts.join(',\n  ')}\n)`,
    `ENGINE = ${table.engine}`,
    `ORDER BY (${table.sortingKey.map(quoteName).join(', ')})`,
    `SETTINGS non_replicated_deduplication_window = ${DEDUPLICATION_WINDOW}`,
    `COMMENT ${quoteText(ownerOf(prefix))}`,
  ].join('\n');
}

const viewComment = (view: ViewSpec, prefix: string) =>
  `${ownerOf(prefix)}${createHash('sha256').update(view.select).digest('hex').slice(0, 16)}`;

/** `DateTime64(3, 'UTC')` however it is spaced. */
const sameType = (a: string, b: string) => a.replace(/\s+/g, '') === b.replace(/\s+/g, '');

interface Planned {
  readonly change: TableChange;
  readonly statements: readonly string[];
}

function planTable(
  table: TableSpec,
  existing: ReadonlyMap<string, string> | undefined,
  prefix: string,
): Planned {
  const made = (action: TableChange['action'], detail: string, statements: readonly string[]): Planned => ({
    change: { kind: 'table', name: table.name, action, detail },
    statements,
  });
  if (existing === undefined) {
    return made('create', `${table.columns.length} columns`, [createTableSql(table, prefix)]);
  }
  const other = table.columns.find(({ name, type }) => !sameType(existing.get(name) ?? type, type));
  if (other !== undefined) {
    return made(
      'conflict',
      `Column ${other.name} is ${existing.get(other.name)} and the project says ${other.type}: rows written so far would change their meaning. Give the field another name, or start under another prefix.`,
      [],
    );
  }
  const missing = table.columns.filter(({ name }) => !existing.has(name));
  if (missing.length === 0) return made('keep', `${existing.size} columns`, []);
  const add = missing.map((one) => `ADD COLUMN IF NOT EXISTS ${columnSql(one)}`).join(', ');
  return made('update', `adds ${missing.map(({ name }) => name).join(', ')}`, [
    `ALTER TABLE ${quoteName(table.name)} ${add}`,
  ]);
}

function planView(view: ViewSpec, comment: string | undefined, prefix: string): Planned {
  const wanted = viewComment(view, prefix);
  const action = comment === undefined ? 'create' : comment === wanted ? 'keep' : 'update';
  const sql = `CREATE OR REPLACE VIEW ${quoteName(view.name)} AS ${view.select} COMMENT ${quoteText(wanted)}`;
  return {
    change: {
      kind: 'table',
      name: view.name,
      action,
      detail: 'view of the predictions, each feature by name',
    },
    statements: action === 'keep' ? [] : [sql],
  };
}

interface Existing {
  readonly columns: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly comments: ReadonlyMap<string, string>;
}

async function look(warehouse: Warehouse, names: readonly string[]): Promise<Existing> {
  const columns = new Map<string, Map<string, string>>();
  const comments = new Map<string, string>();
  try {
    const found = await warehouse.query<{ table: string; name: string; type: string }>(
      'SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND table IN {names:Array(String)}',
      { names },
    );
    for (const { table, name, type } of found) {
      const one = columns.get(table) ?? new Map<string, string>();
      one.set(name, type);
      columns.set(table, one);
    }
    const tables = await warehouse.query<{ name: string; comment: string }>(
      'SELECT name, comment FROM system.tables WHERE database = currentDatabase() AND name IN {names:Array(String)}',
      { names },
    );
    for (const { name, comment } of tables) comments.set(name, comment);
  } catch (error) {
    // No database yet: the first statement makes it.
    if (!(error instanceof WarehouseError) || error.code !== 'missing_table') throw error;
  }
  return { columns, comments };
}

/**
 * Makes the tables and views of a project where they are missing and adds columns for new fields; never
 * drops or changes one. Says what it did, or with `dryRun` what it would do. Throws WarehouseError, before
 * anything is changed, where a table cannot become what the project says.
 */
export async function ensureTables(
  warehouse: Warehouse,
  project: Project,
  options: { readonly dryRun?: boolean } = {},
): Promise<readonly TableChange[]> {
  const tables = tableSpecs(project);
  const views = viewSpecs(project);
  const existing = await look(
    warehouse,
    [...tables, ...views].map(({ name }) => name),
  );
  const planned = [
    ...tables.map((table) => planTable(table, existing.columns.get(table.name), project.prefix)),
    ...views.map((view) => planView(view, existing.comments.get(view.name), project.prefix)),
  ];
  if (options.dryRun !== true) {
    const conflict = planned.find(({ change }) => change.action === 'conflict')?.change;
    if (conflict !== undefined)
      throw new WarehouseError('refused', `Table ${conflict.name}: ${conflict.detail}`);
    for (const { statements } of planned) for (const sql of statements) await warehouse.command(sql);
  }
  return planned.map(({ change }) => change);
}

/** The tables of a project as `apply` takes them. */
export function declaredTables(warehouse: Warehouse, project: Project) {
  return {
    kind: 'table' as const,
    plan: () => ensureTables(warehouse, project, { dryRun: true }),
    apply: async (): Promise<void> => {
      await ensureTables(warehouse, project);
    },
  };
}

/** Drops every table and view made under the prefix; answers how many. */
export async function removeTables(warehouse: Warehouse, prefix: string): Promise<number> {
  const owned = await warehouse.query<{ name: string; engine: string }>(
    'SELECT name, engine FROM system.tables WHERE database = currentDatabase() AND startsWith(comment, {owner:String})',
    { owner: ownerOf(prefix) },
  );
  const order = owned.sort((a, b) => Number(b.engine === 'View') - Number(a.engine === 'View'));
  for (const { name, engine } of order) {
    await warehouse.command(`DROP ${engine === 'View' ? 'VIEW' : 'TABLE'} IF EXISTS ${quoteName(name)}`);
  }
  return order.length;
}
