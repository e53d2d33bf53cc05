import { describe, expect, it } from 'vitest';
import { historiesOf, historyOf } from '../../cli/histories.ts';
import type { Project } from '../../schemas/project.ts';
import { FILES, load } from '../config/project.ts';

const VISITS = 'source: visits\nkey: who\nout_of_orderness: 1m\nfields: {who: string}\nevents: {visit:}\n';

/** The shop with two sources, and these histories. */
function shop(history: string): Project {
  const files = { ...FILES, 'sources/visits.yaml': VISITS };
  const named = `${FILES['project.yaml'] ?? ''}${history}`;
  const views = (FILES['views/customer.yaml'] ?? '').replace('entity:', 'source: orders\nentity:');
  return load({ ...files, 'project.yaml': named, 'views/customer.yaml': views });
}

const chosen = (project: Project, file?: string, source?: string) =>
  historiesOf(project, { file, source, command: 'replay' }).map(
    ({ source: { name }, history, path }) => `${name} ${history.reader} ${path?.split('/').at(-1) ?? 'none'}`,
  );

describe('the histories that a command reads', () => {
  const both = shop(
    'history:\n  - {reader: events, source: orders, file: orders.jsonl}\n  - {reader: events, source: visits}\n',
  );

  it('are all that are declared, or one of them', () => {
    expect(() => chosen(both)).toThrow('Name the file to read: millrace replay FILE --source visits');
    expect(chosen(both, undefined, 'orders')).toEqual(['orders events orders.jsonl']);
    expect(chosen(both, 'other.parquet', 'visits')).toEqual(['visits events other.parquet']);
    const whole = shop(
      'history:\n  - {reader: events, source: orders, file: a.jsonl}\n  - {reader: events, source: visits, file: b.jsonl}\n',
    );
    expect(chosen(whole)).toEqual(['orders events a.jsonl', 'visits events b.jsonl']);
  });

  it('are named by the source where a file could hold several', () => {
    expect(() => chosen(both, 'some.jsonl')).toThrow('say with --source which of them some.jsonl holds');
    expect(() => chosen(both, 'some.jsonl', 'order')).toThrow("no source 'order'");
    const none = shop('');
    expect(() => chosen(none)).toThrow('declares no history: name a file');
    expect(() => chosen(none, 'some.jsonl')).toThrow('--source NAME, one of orders, visits');
    expect(chosen(none, 'some.jsonl', 'visits')).toEqual(['visits events some.jsonl']);
  });

  it('are the one of a project with one source, as ever', () => {
    const one = load({
      ...FILES,
      'project.yaml': `${FILES['project.yaml'] ?? ''}history: {reader: flights, source: orders}\n`,
    });
    expect(chosen(one)).toEqual(['orders flights none']);
    expect(historyOf(one, undefined, 'import').source.name).toBe('orders');
    expect(chosen(load(FILES), 'some.jsonl')).toEqual(['orders events some.jsonl']);
    expect(() => historyOf(both, undefined, 'import')).toThrow();
  });
});
