import { beforeEach, describe, expect, it } from 'vitest';
import { Waits } from '../../../streams/runtime/waits.ts';
import { type SteppingClock, steppingClock } from '../clock.ts';
import { listening, type Told } from '../telemetry.ts';

describe('waits', () => {
  let clock: SteppingClock;
  let telemetry: Told;
  let waits: Waits;

  beforeEach(() => {
    clock = steppingClock();
    telemetry = listening();
    waits = new Waits('ingest', clock, telemetry);
  });

  const note = (where: string) => waits.note('waking', where, () => `waits for ${where}`);

  it('a wait is told once it has lasted ten seconds, once, with its sentence; its end is told too', () => {
    expect(note('p0')).toBe(0);
    clock.time += 9_999;
    expect(note('p0')).toBe(9_999);
    expect(telemetry.waits).toEqual([]);
    clock.time += 1;
    expect(note('p0')).toBe(10_000);
    clock.time += 60_000;
    note('p0');
    expect(telemetry.waits).toEqual(['ingest waking p0: waits for p0']);
    waits.end('waking', 'p0');
    expect(telemetry.waits.at(-1)).toBe('ingest waking p0: over');
  });

  it('a wait that ends before it was told is never told', () => {
    note('p0');
    clock.time += 9_000;
    waits.end('waking', 'p0');
    waits.end('waking', 'p1');
    expect(telemetry.waits).toEqual([]);
  });

  it('a wait that begins again counts from its new beginning', () => {
    note('p0');
    clock.time += 9_000;
    waits.end('waking', 'p0');
    expect(note('p0')).toBe(0);
    clock.time += 9_000;
    note('p0');
    expect(telemetry.waits).toEqual([]);
  });

  it('several waits are kept apart by kind and place, and all of a kind end together', () => {
    note('p0');
    waits.note('hold', 'p0', () => 'holds');
    clock.time += 5_000;
    note('p 1');
    clock.time += 10_000;
    for (const where of ['p0', 'p 1']) note(where);
    waits.note('hold', 'p0', () => 'holds');
    expect(telemetry.waits).toHaveLength(3);
    waits.endAll('waking');
    expect(telemetry.waits.slice(3)).toEqual(['ingest waking p0: over', 'ingest waking p 1: over']);
    waits.endAll('waking');
    expect(telemetry.waits).toHaveLength(5);
  });
});
