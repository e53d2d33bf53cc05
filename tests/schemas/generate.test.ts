import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { generateRecords, RECORDS } from '../../schemas/generate.ts';

it('records/ says what the Avro schemas say (run `npm run generate`)', () => {
  const written = readdirSync(RECORDS).map((file) => [file, readFileSync(join(RECORDS, file), 'utf8')]);
  expect(Object.fromEntries(written)).toEqual(generateRecords());
});
