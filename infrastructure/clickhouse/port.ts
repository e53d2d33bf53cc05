/** What a person's own statement may take. */
export interface AskLimits {
  readonly rows: number;
  /** ms */
  readonly timeMs: number;
}

/** The answer to a person's own statement. */
export interface AskedRows {
  readonly columns: ReadonlyArray<{ readonly name: string; readonly type: string }>;
  /** Cells in the order of the columns, as JSON has them. */
  readonly rows: ReadonlyArray<readonly unknown[]>;
  /** There are more rows than were asked for. */
  readonly cut: boolean;
}

/** What streams and tools need of the warehouse. Adapters: ClickHouse over HTTP, and its engine in the process. */

export type SqlParameters = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly number[]>
>;

export interface Warehouse {
  /** DDL and other statements without an answer. Throws WarehouseError. */
  command(sql: string, parameters?: SqlParameters): Promise<void>;
  /** Rows as objects (JSONEachRow; 64-bit integers as numbers). `{name:Type}` placeholders take `parameters`. */
  query<Row>(sql: string, parameters?: SqlParameters): Promise<Row[]>;
  /**
   * A statement that somebody wrote by hand. The server itself refuses one that changes anything (`readonly`), ends it after
   * its time, and stops at its rows. Throws WarehouseError.
   */
  ask(sql: string, limits: AskLimits): Promise<AskedRows>;
  /** Raw bytes in the statement's own FORMAT, in pieces, for bulk reads. */
  stream(sql: string, parameters?: SqlParameters): Promise<AsyncIterable<Uint8Array>>;
  /**
   * One synchronous insert of a whole batch. A repeat with the same token is dropped by the server
   * (within its deduplication window), so a token must name its exact range.
   */
  insert(table: string, rows: readonly object[], options: { readonly token: string }): Promise<void>;
  /** The same with rows already encoded, e.g. 'RowBinary'. */
  insertRaw(
    table: string,
    columns: readonly string[],
    format: string,
    bytes: Uint8Array,
    options: { readonly token: string },
  ): Promise<void>;
  close(): Promise<void>;
}
