import { expect, it } from 'vitest';
import { createProgress } from '../../cli/progress.ts';

const plain = {
  dim: (t: string) => t,
  green: (t: string) => t,
  red: (t: string) => t,
  cyan: (t: string) => t,
};

function start(redraw: boolean, total: number) {
  let text = '';
  let time = 0;
  const progress = createProgress({
    label: 'history',
    total,
    unit: 'events',
    redraw,
    columns: 60,
    colours: plain,
    write: (part) => {
      text += part;
    },
    now: () => time,
  });
  return {
    progress,
    text: () => text,
    pass: (ms: number) => {
      time += ms;
    },
  };
}

it('without a terminal it says something every ten seconds and at the end, in whole lines', () => {
  const { progress, text, pass } = start(false, 1_000);
  for (let second = 1; second <= 25; second++) {
    pass(1_000);
    progress.update(second * 40);
  }
  progress.done('1,000 events');
  const lines = text().split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toContain('40 %  400 events  40/s');
  expect(lines[2]).toMatch(/✓ history +25\.0 s +1,000 events$/);
  expect(text()).not.toContain('\r');
});

it('on a terminal it draws over one line, never wider than the terminal', () => {
  const { progress, text, pass } = start(true, 1_000);
  for (let step = 1; step <= 10; step++) {
    pass(1_000);
    progress.update(step * 100, 'a long word on where the work stands that does not fit');
  }
  progress.done();
  progress.done('twice does nothing');
  const frames = text().split('\r\u001b[2K');
  expect(frames.length).toBeGreaterThan(10);
  for (const frame of frames) expect([...frame.replace('\n', '')].length).toBeLessThan(60);
  expect(text().endsWith('\n')).toBe(true);
  expect(text()).not.toContain('twice');
});
