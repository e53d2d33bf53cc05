import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openEvents } from '../../../infrastructure/readers/events.ts';
import { queryParquet } from '../../../infrastructure/readers/parquet.ts';
import type { Source } from '../../../schemas/project.ts';

const source: Source = {
  name: 'payments',
  partitions: 1,
  format: { kind: 'avro' },
  fields: [
    { name: 'card', type: 'string' },
    { name: 'amount', type: 'double' },
  ],
  events: [{ name: 'paid', required: ['card'], rules: [] }],
  key: 'card',
  outOfOrderness: 0,
  idleAfter: null,
  deduplicate: null,
  rejects: null,
  maxFuture: null,
};
const mapped: Source = {
  ...source,
  format: {
    kind: 'json',
    mapping: {
      id: 'uuid',
      type: { constant: 'paid' },
      time: { path: 'when', unit: 's' },
      fields: { card: 'card.number', amount: 'amount' },
    },
  },
};
const directory = mkdtempSync(join(tmpdir(), 'millrace-'));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

async function read(path: string, as: Source = source) {
  const opened = await openEvents(path, as);
  const all = [];
  for await (const batch of opened.read({ from: null, to: null, batchSize: 2 }))
    for (const [k, event] of batch.events.entries())
      all.push({ event, place: batch.places[k], row: batch.rows[k] });
  return all;
}

describe('a file of events', () => {
  it('is read as JSON lines, put in order of time, each with its row', async () => {
    const path = file(
      'a.jsonl',
      '{"id":"a","type":"paid","time":2000,"card":"x","amount":1.5}\n{"id":"b","type":"paid","time":1000,"card":"y"}\n',
    );
    expect(await read(path)).toEqual([
      { event: { id: 'b', type: 'paid', time: 1000, card: 'y', amount: null }, place: 0, row: 1 },
      { event: { id: 'a', type: 'paid', time: 2000, card: 'x', amount: 1.5 }, place: 1, row: 0 },
    ]);
  });

  it('is read by the mapping of its source', async () => {
    const path = file('b.jsonl', '{"uuid":"a","when":2,"card":{"number":"x"},"amount":1}');
    expect(await read(path, mapped)).toEqual([
      { event: { id: 'a', type: 'paid', time: 2000, card: 'x', amount: 1 }, place: 0, row: 0 },
    ]);
  });

  it('is read from Parquet alike', async () => {
    const path = join(directory, 'c.parquet');
    // Any Parquet file gives the engine a place to write another one from.
    const { flightsFile } = await import('../../../infrastructure/readers/flights.ts');
    const sql = `SELECT toString(delay) AS id, 'paid' AS type, date AS time, origin AS card, distance / 2 AS amount
      FROM {file} LIMIT 3 INTO OUTFILE '${path}' FORMAT Parquet`;
    for await (const _ of queryParquet(flightsFile('flights-3m.parquet'), sql));
    const events = await read(path);
    expect(events).toHaveLength(3);
    expect(events[0]?.event).toEqual({
      id: '33',
      type: 'paid',
      time: Date.UTC(2001, 0, 1, 0, 1),
      card: 'LAS',
      amount: 1088,
    });
  });

  it('names file and row of what is wrong', async () => {
    const good = '{"id":"a","type":"paid","time":1,"card":"x","amount":1}\n';
    const cut = file('cut.jsonl', `${good}{"id":"a","ty`);
    await expect(read(cut)).rejects.toThrow(`${cut}, line 2: it is no JSON.`);
    const wrong = file('wrong.jsonl', `${good}${good.replace('1}', '"much"}')}`);
    await expect(read(wrong)).rejects.toThrow(
      `${wrong}, line 2: the field amount is the string "much", not a double.`,
    );
    const missing = join(directory, 'none.jsonl');
    await expect(read(missing)).rejects.toThrow(/none\.jsonl cannot be read/);
  });
});
