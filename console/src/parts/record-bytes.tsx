import { useMemo } from 'react';
import { bytesOf, hexOf, textOf } from '../lib/bytes.ts';
import { plural } from '../lib/format.ts';

const SHOWN_BYTES = 4_096;

/** One record as text and as bytes. */
export function RecordBytes({ place, value }: { readonly place: string; readonly value: string }) {
  const bytes = useMemo(() => bytesOf(value), [value]);
  const cut = bytes.subarray(0, SHOWN_BYTES);
  return (
    <div className="two">
      <div>
        <h3>
          {place} as text, {plural(bytes.length, 'byte')}
        </h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <pre tabIndex={0}>{textOf(cut)}</pre>
      </div>
      <div>
        <h3>as bytes</h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
        <pre tabIndex={0} className="hex">
          {hexOf(cut)}
        </pre>
      </div>
    </div>
  );
}
