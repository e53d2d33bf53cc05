import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import type { Column } from './table.tsx';

const ROW_PX = 34;

/** A table of any length: only the rows in sight are in the page. */
export function LongTable<Row>({
  label,
  columns,
  rows,
  id,
  widths,
  onOpen,
}: {
  readonly label: string;
  readonly columns: ReadonlyArray<Column<Row>>;
  readonly rows: readonly Row[];
  readonly id: (row: Row) => string;
  /** Of the columns, as CSS grid tracks. */
  readonly widths: string;
  readonly onOpen?: (row: Row) => void;
}) {
  const holder = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => holder.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const grid = { gridTemplateColumns: widths };
  return (
    <div className="scroll long" ref={holder} role="table" aria-label={label} aria-rowcount={rows.length + 1}>
      <div role="rowgroup" className="long-head">
        <div role="row" className="long-row" style={grid} aria-rowindex={1}>
          {columns.map(({ name, figure }) => (
            <span key={name} role="columnheader" className={figure ? 'right' : undefined}>
              {name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" className="long-body" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <div
              key={id(row)}
              role="row"
              aria-rowindex={index + 2}
              className={`long-row${onOpen === undefined ? '' : ' opens'}`}
              style={{ ...grid, transform: `translateY(${start}px)` }}
              tabIndex={onOpen === undefined ? undefined : 0}
              onClick={() => onOpen?.(row)}
              onKeyDown={(event) => {
                if (event.key === 'Enter') onOpen?.(row);
              }}
            >
              {columns.map(({ name, show, figure }) => (
                <span key={name} role="cell" className={figure ? 'right digits' : undefined}>
                  {show(row)}
                </span>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}
