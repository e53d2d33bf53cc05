import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { airportRecords, BAD_KINDS } from '../../docs/examples/airports/generate.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { createValidator } from '../../processors/validate.ts';
import { openCodecs } from '../../streams/runtime/codecs.ts';
import { landingOf } from '../benchmarks/airports/windows.ts';

const directory = fileURLToPath(new URL('../../docs/examples/airports', import.meta.url));

async function first(count: number): Promise<string[]> {
  const values: string[] = [];
  for await (const { value } of airportRecords(count)) values.push(value);
  return values;
}

describe('the airports of the documents', () => {
  let values: string[] = [];
  beforeAll(async () => {
    values = await first(8_000);
  }, 300_000);

  it('one record in a thousand is bad, in four ways; Millrace and the plain program refuse the same ones', async () => {
    const project = loadProject(directory, { environment: {} });
    const [source] = project.sources;
    if (source === undefined) throw new Error('the project has a source');
    const decoder = (await openCodecs(project, createMemoryRegistry())).raw(source.name);
    const validate = createValidator(source);
    const reasons = new Set<string>();
    let refused = 0;
    for (const value of values) {
      const record = {
        topic: 'raw',
        partition: 0,
        offset: 0,
        key: null,
        value: Buffer.from(value),
        headers: null,
        appendTime: 1e12,
      };
      const { event, rejected } = decoder.decode(record);
      const reason = rejected ?? (event === null ? null : validate(event));
      expect(typeof landingOf(value) === 'string', value).toBe(reason !== null);
      if (reason === null) continue;
      refused += 1;
      reasons.add(`${reason.code} ${reason.detail.slice(0, 30)}`);
    }
    expect(refused).toBe(8);
    expect(reasons.size).toBe(BAD_KINDS.length);
  }, 300_000);

  it('the same count gives the same records, at most 4 s out of order', async () => {
    expect(await first(3_000)).toEqual(values.slice(0, 3_000));
    let newest = 0;
    let late = 0;
    for (const value of values) {
      const landing = landingOf(value);
      if (typeof landing === 'string') continue;
      expect(landing.ts).toBeGreaterThan(newest - 4_001);
      if (landing.ts < newest) late += 1;
      newest = Math.max(newest, landing.ts);
    }
    expect(late).toBeGreaterThan(5);
  }, 300_000);
});
