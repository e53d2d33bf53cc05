import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createEventReader } from '../../api/event-input.ts';
import { projectFiles } from '../../cli/init/files.ts';
import { observe } from '../../cli/init/observe.ts';
import { propose } from '../../cli/init/propose.ts';
import { loadProject } from '../../config/load.ts';

const home = mkdtempSync(join(tmpdir(), 'millrace-event-id-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A reader of a source whose field `rental_id` is the id of its records. */
function reader(rentalId: string | number) {
  const sample = { rental_id: rentalId, taken_at: '2026-11-30T16:20:00Z', bike: 'b77' };
  const directory = join(home, typeof rentalId);
  const proposal = propose(observe([sample]), { name: 'rentals', predict: 'late' });
  for (const [path, text] of projectFiles(proposal, '0.1.0')) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const source = loadProject(directory, { environment: {} }).sources.find(({ name }) => name === 'rentals');
  if (source === undefined) throw new Error('the project has its source');
  const read = createEventReader(source);
  return (input: object) => read({ bike: 'b1', ...input }, { type: null, now: 1_000 });
}

describe('an event whose id is a field of it', () => {
  it('has the same id, whichever of the two names is given', () => {
    const read = reader('r1');
    const event = expect.objectContaining({ id: 'r7', rental_id: 'r7' });
    expect(read({ rental_id: 'r7' })).toEqual({ event });
    expect(read({ id: 'r7' })).toEqual({ event });
    expect(read({ id: 'r7', rental_id: 'r7' })).toEqual({ event });
  });

  it('is refused where they differ: the record could hold one of them alone', () => {
    expect(reader('r1')({ id: 'e-1', rental_id: 'r7' })).toMatchObject({
      fault: { code: 'differs', detail: expect.stringContaining("leave 'rental_id' out") },
    });
  });

  it('counts as a number where the source says so, and cannot be drawn', () => {
    const read = reader(7_001);
    expect(read({ id: '12' })).toMatchObject({ event: { id: '12', rental_id: 12 } });
    expect(read({ rental_id: 12 })).toMatchObject({ event: { id: '12', rental_id: 12 } });
    expect(read({})).toMatchObject({
      fault: { code: 'bad_id', detail: expect.stringContaining("give 'rental_id'") },
    });
  });
});
