import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readRequests } from '../../api/jobs/join.ts';
import { readTable } from '../../api/jobs/table.ts';
import { projectFiles } from '../../cli/init/files.ts';
import { observe } from '../../cli/init/observe.ts';
import { propose } from '../../cli/init/propose.ts';
import { loadProject } from '../../config/load.ts';

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

describe('a table of requests to be scored', () => {
  const sample = { ride_id: 'r1', at: '2026-11-30T12:00:00Z', bike: 'b1', km: 2.5, electric: true };
  const proposal = propose(observe([sample]), { name: 'rides', predict: 'late' });
  const directory = mkdtempSync(join(tmpdir(), 'millrace-table-'));
  for (const [path, text] of projectFiles(proposal, '0.1.0')) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const { models, sources } = loadProject(directory, { environment: {} });
  rmSync(directory, { recursive: true });
  const [model] = models;
  const source = sources.find(({ name }) => name === 'rides');
  const requests = async (csv: string) => {
    if (model === undefined || source === undefined) throw new Error('the project has both');
    const table = await readTable('text/csv', Buffer.from(csv));
    return readRequests({ table, model, source, version: null }, 0);
  };

  it('has the fields that its event requires; the id may stand for the field that holds it', async () => {
    const event = expect.objectContaining({ id: 'r1', ride_id: 'r1', bike: 'b1', km: 2, electric: true });
    expect(await requests('id,time,bike,km,electric\nr1,1,b1,2,true\n')).toEqual([event]);
    expect(await requests('ride_id,time,bike,km,electric\nr1,1,b1,2,true\n')).toEqual([event]);
    await expect(requests('id,time,bike,kms,electric\nr1,1,b1,2,true\n')).rejects.toThrow(
      "no column 'km', which the requests of late must have; it has id, time, bike, kms",
    );
    await expect(requests('id;time;bike;km;electric\nr1;1;b1;2;true\n')).rejects.toThrow('it has id;time');
  });

  it('has truth values as pandas and spreadsheets write them; what is no number is shown', async () => {
    const row = (km: string, electric: string) =>
      requests(`id,time,bike,km,electric\nr1,1,b1,${km},${electric}\n`);
    for (const word of ['True', 'TRUE', 'true'])
      expect(await row('2', word)).toEqual([expect.objectContaining({ electric: true })]);
    await expect(row('2', 'yes')).rejects.toThrow('is "yes", which is not a bool');
    await expect(row('"2,5"', 'true')).rejects.toThrow('is "2,5", which is not a double');
  });

  it('has no column that scoring adds: it would be lost', async () => {
    await expect(requests('id,time,bike,km,electric,score\nr1,1,b1,2,true,0.5\n')).rejects.toThrow(
      "a column 'score' already",
    );
  });
});
