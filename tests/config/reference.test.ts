import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { FILES as KINDS } from '../../config/declarations.ts';
import { FILE_KINDS, jsonSchemas, SCHEMA_DIRECTORY } from '../../config/json-schema.ts';
import { configurationReference, REFERENCE_FILE } from '../../config/reference.ts';
import { load } from './project.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = `${root}${SCHEMA_DIRECTORY}`;
const reference = configurationReference();
const examples = [...reference.matchAll(/```yaml\n([\s\S]*?)\n```/g)].map((match) => match[1] ?? '');

describe('generated files are fresh (npm run generate)', () => {
  it.each([...jsonSchemas()])('%s', (file, text) => {
    expect(readFileSync(`${directory}/${file}`, 'utf8')).toBe(text);
  });

  it(REFERENCE_FILE, () => {
    expect(readFileSync(`${directory}/${REFERENCE_FILE}`, 'utf8')).toBe(reference);
  });

  it('and there are no others', () => {
    expect(readdirSync(directory).sort()).toEqual([REFERENCE_FILE, ...jsonSchemas().keys()].sort());
  });
});

describe('the reference', () => {
  it('describes every key', () => {
    const bare = reference.split('\n').filter((line) => /^\| `.*\|\s*\|$/.test(line));
    expect(bare).toEqual([]);
  });

  it('shows an example of each file, which together make a project', () => {
    expect(examples).toHaveLength(FILE_KINDS.length);
    const [project = '', source = '', view = '', model = '', alerts = '', pipelines = '', connections = ''] =
      examples;
    const loaded = load({
      'project.yaml': project,
      'sources/orders.yaml': source,
      'views/customer.yaml': view,
      'models/returned.yaml': model,
      'alerts.yaml': alerts,
      'pipelines.yaml': pipelines,
      'connections.yaml': connections,
    });
    expect(loaded.alerting.rules).toHaveLength(1);
    expect(loaded.pipelines[0]?.steps).toHaveLength(6);
    expect(loaded.models[0]?.features).toHaveLength(7);
  });
});

describe('the default project', () => {
  it.each([
    'project.yaml',
    'connections.yaml',
    'alerts.yaml',
    'views/route.yaml',
    'models/late_arrival.yaml',
  ])('%s names the schema that editors check it by', (file) => {
    const text = readFileSync(`${root}config/${file}`, 'utf8');
    const kind = FILE_KINDS.find((one) => text.includes(`$schema=`) && text.includes(`/${one}.schema.json`));
    expect(kind).toBeDefined();
    if (kind !== undefined) expect(KINDS[kind].schema.safeParse(parse(text)).success).toBe(true);
  });
});
