import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import type { Project, Source } from '../../schemas/project.ts';

/** Rows of a history that a source refuses for one reason, as ingest and `import` would. */
export interface RefusedRows {
  readonly source: string;
  readonly code: string;
  readonly rows: number;
  /** The first of them. */
  readonly example: {
    /** `row 17`, `partition 0 offset 5`. */
    readonly where: string;
    /** Null where not even that could be read. */
    readonly id: string | null;
    readonly detail: string;
  };
}

/** Counts refusals by their code, and keeps the first of each. */
export class Refusals {
  readonly #source: string;
  readonly #byCode = new Map<string, RefusedRows>();

  constructor(source: string) {
    this.#source = source;
  }

  add(code: string, example: RefusedRows['example']): void {
    const known = this.#byCode.get(code);
    this.#byCode.set(code, {
      source: this.#source,
      code,
      rows: (known?.rows ?? 0) + 1,
      example: known?.example ?? example,
    });
  }

  all(): RefusedRows[] {
    return [...this.#byCode.values()];
  }
}

/** What refusals are told of. */
interface Read {
  readonly source: Pick<Source, 'name'>;
  /** Records that are no events at all. */
  readonly unread: readonly RefusedRows[];
  /** Where the n-th row stands, for a person. */
  readonly whereOf: (row: number) => string;
}

/** What the import of some histories refused, from its dead letters, after what could not even be read as an event. */
export async function refusedOf(
  warehouse: Pick<Warehouse, 'query'>,
  { prefix }: Pick<Project, 'prefix'>,
  histories: readonly Read[],
): Promise<RefusedRows[]> {
  const found: RefusedRows[] = [];
  for (const { source, unread, whereOf } of histories) {
    const letters = await warehouse.query<{
      code: string;
      rows: number;
      row: number;
      id: string | null;
      detail: string;
    }>(
      `SELECT code, toUInt32(count()) AS rows, toFloat64(min(source_offset)) AS row,
        argMin(event_id, source_offset) AS id, argMin(detail, source_offset) AS detail
      FROM ${quoteName(tables.deadLetters(prefix, source.name))} FINAL GROUP BY code ORDER BY rows DESC, code`,
    );
    found.push(
      ...unread,
      ...letters.map(({ code, rows, row, id, detail }) => ({
        source: source.name,
        code,
        rows,
        example: { where: whereOf(row), id, detail },
      })),
    );
  }
  return found;
}
