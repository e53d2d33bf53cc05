import { describe, expect, it } from 'vitest';
import { SchemaWait } from '../../../streams/ingest/schema-wait.ts';

describe('a schema that the registry does not know yet', () => {
  it('is waited for, and the records are taken once it is known', () => {
    const wait = new SchemaWait();
    expect(wait.holds([7], 0)).toBe(true);
    expect(wait.pausedAt(499)).toBe(true);
    expect(wait.pausedAt(500)).toBe(false);
    expect(wait.holds([7], 15_000)).toBe(true);
    expect(wait.holds([], 15_500)).toBe(false);
    expect(wait.pausedAt(15_501)).toBe(false);
    // The next new schema has a time of its own.
    expect(wait.holds([8], 20_500)).toBe(true);
    expect(wait.holds([8], 40_000)).toBe(true);
  });

  it('made-up ids hold a partition up once, and not for ever', () => {
    const wait = new SchemaWait();
    let held = 0;
    for (let now = 0; now < 600_000; now += 500) held += wait.holds([now], now) ? 500 : 0;
    expect(held).toBe(20_000);
    expect(wait.holds([1], 620_500)).toBe(true);
  });
});
