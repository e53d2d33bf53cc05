/** What streams and tools need of the warehouse. Adapters: ClickHouse over HTTP, and its engine in the process. */

export type SqlParameters = Readonly<
  Record<string, string | number | boolean | readonly string[] | readonly number[]>
>;

export interface Warehouse {
  /** DDL and other statements without an answer. Throws WarehouseError. */
  command(sql: string, parameters?: SqlParameters): Promise<void>;
  /** Rows as objects (JSONEachRow; 64-bit integers as numbers). `{name:Type}` placeholders take `parameters`. */
  query<Row>(sql: string, parameters?: SqlParameters): Promise<Row[]>;
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
