import { describe, expect, it } from 'vitest';
import { readTable } from '../../api/jobs/table.ts';

const NDJSON = 'application/x-ndjson';

describe('a table that somebody sends', () => {
  it('may begin with the mark of its byte order', async () => {
    const lines = await readTable(NDJSON, Buffer.from('\uFEFF{"time":1,"car":"c1"}\r\n'));
    expect(lines.rows).toEqual([{ time: 1, car: 'c1' }]);
    expect((await readTable('text/csv', Buffer.from('\uFEFFtime,car\r\n1,c1\r\n'))).columns).toEqual([
      'time',
      'car',
    ]);
  });

  it.each(['text/csv', NDJSON])('is refused as %s where it is not UTF-8', async (type) => {
    const bytes = Buffer.from('time,town\n1,Lünen\n{"town":"Lünen"}', 'latin1');
    await expect(readTable(type, bytes)).rejects.toThrow('save it as UTF-8');
  });
});
