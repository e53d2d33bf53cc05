import { expect, it } from 'vitest';
import { widthOf } from '../../cli/format.ts';
import { createLiveTree } from '../../cli/pipeline-tree.ts';

it('is drawn over line by line: none wraps before the last time, whatever the terminal has become', () => {
  const written: string[] = [];
  let columns = 20;
  const tree = createLiveTree(
    (text) => written.push(text),
    () => columns,
  );
  const lines = ['\u001b[1mretrain@2001-03-22\u001b[22m  running  late_arrival', '└─ ⠙ gate'];
  /** The lines of the newest drawing, each of which clears its own first. */
  const drawn = () => {
    const [up, ...rest] = written.at(-1)?.split('\u001b[2K') ?? [];
    return { up, lines: rest.map((line) => line.replace('\u001b[0J', '').trimEnd()) };
  };

  tree.draw(lines);
  expect(drawn().up).toBe('');
  expect(drawn().lines.map(widthOf)).toEqual([18, 9]);
  columns = 10;
  tree.draw(lines);
  expect(drawn().up).toBe('\u001b[2F');
  expect(drawn().lines.every((line) => widthOf(line) < columns)).toBe(true);
  tree.end(lines);
  expect(drawn()).toEqual({ up: '\u001b[2F', lines });
});
