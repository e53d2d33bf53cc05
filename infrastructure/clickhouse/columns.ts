export interface ColumnSpec {
  readonly name: string;
  readonly type: string;
  readonly comment: string;
}

export interface TableSpec {
  readonly name: string;
  readonly columns: readonly ColumnSpec[];
  readonly sortingKey: readonly string[];
  readonly engine: string;
  readonly indexes: readonly string[];
}

export const TIME = "DateTime64(3, 'UTC')";
export const WORD = 'LowCardinality(String)';

export const column = (name: string, type: string, comment: string): ColumnSpec => ({ name, type, comment });
