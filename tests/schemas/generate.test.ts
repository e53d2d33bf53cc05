import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { generateRecords, RECORDS_FILE } from '../../schemas/generate.ts';

it('records.ts says what the Avro schemas say (run `npm run generate`)', () => {
  expect(readFileSync(RECORDS_FILE, 'utf8')).toBe(generateRecords());
});
