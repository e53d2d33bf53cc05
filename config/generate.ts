import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonSchemas, SCHEMA_DIRECTORY } from './json-schema.ts';
import { configurationReference, REFERENCE_FILE } from './reference.ts';

/** Writes the JSON Schemas and the configuration reference; a test holds them fresh. */
const directory = join(import.meta.dirname, '..', SCHEMA_DIRECTORY);
mkdirSync(directory, { recursive: true });
for (const [file, text] of jsonSchemas()) writeFileSync(join(directory, file), text);
writeFileSync(join(directory, REFERENCE_FILE), configurationReference());
