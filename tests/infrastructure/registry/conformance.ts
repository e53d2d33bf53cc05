import { randomUUID } from 'node:crypto';
import type { Schema } from 'avsc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SchemaRegistry } from '../../../infrastructure/registry/port.ts';
import { blockSchema } from '../../../schemas/records/block.ts';
import { predictionSchema } from '../../../schemas/records/prediction.ts';

interface FieldSchema {
  readonly name: string;
  readonly type: unknown;
  readonly default?: unknown;
}

const recordOf = (...fields: FieldSchema[]) =>
  ({ type: 'record', name: 'Thing', fields }) as unknown as Schema;
const a = { name: 'a', type: 'int' };
const newField = { name: 'b', type: ['null', 'string'], default: null };

/** What every client of a schema registry must do. */
export function registryConformance(name: string, connect: () => Promise<SchemaRegistry>): void {
  describe(`schema registry: ${name}`, () => {
    let client: SchemaRegistry;
    const used: string[] = [];

    beforeAll(async () => {
      client = await connect();
    });
    afterAll(async () => {
      for (const subject of used) await client.remove(subject);
      await client.close();
    });

    function subject(): string {
      used.push(`test/${randomUUID()}-value`);
      return used.at(-1) ?? '';
    }

    it('gives one id to one schema, whoever asks, and the schema back for its id', async () => {
      const here = subject();
      const id = await client.register(here, recordOf(a));
      expect(await client.register(here, recordOf(a))).toBe(id);
      expect(JSON.parse(String(await client.schemaById(id)))).toEqual(recordOf(a));
      expect(await client.register(subject(), recordOf(a))).toBe(id);
      expect(await client.subjects()).toContain(here);
    });

    it('takes the schemas of Millrace', async () => {
      for (const schema of [blockSchema, predictionSchema]) {
        const here = subject();
        const id = await client.register(here, schema);
        expect(await client.standing(here, schema)).toEqual({ status: 'same', id });
      }
    });

    it('takes a new version that can read the old one, and still knows the old one', async () => {
      const here = subject();
      const id = await client.register(here, recordOf(a));
      const wider = recordOf({ name: 'a', type: 'long' }, newField);
      expect(await client.standing(here, wider)).toEqual({ status: 'compatible' });
      const next = await client.register(here, wider);
      expect(next).not.toBe(id);
      expect(await client.register(here, recordOf(a))).toBe(id);
      expect(await client.standing(here, recordOf(a))).toEqual({ status: 'same', id });
      const versions = await client.versions(here);
      expect([...versions.keys()].sort((one, other) => one - other)).toEqual([id, next]);
      expect(versions.get(next)).toContain('"b"');
      expect(await client.versions(subject())).toEqual(new Map());
    });

    const listOf = (...fields: FieldSchema[]) =>
      recordOf({ name: 'l', type: { type: 'array', items: { type: 'record', name: 'Item', fields } } });

    it.each([
      [
        'a field without a default',
        recordOf(a),
        recordOf(a, { name: 'b', type: 'int' }),
        /field b: it is new and/,
      ],
      [
        'another type',
        recordOf(a),
        recordOf({ name: 'a', type: 'string' }),
        /field a: it was int and is string/,
      ],
      ['a field deeper down', listOf(a), listOf(a, { name: 'b', type: 'int' }), /field l\.b: it is new and/],
      [
        'a union that has lost null',
        recordOf({ name: 'a', type: ['null', 'int'] }),
        recordOf(a),
        /field a: it was one of null, int and is int/,
      ],
    ])('refuses %s, naming subject, field and mend', async (_, before, after, message) => {
      const here = subject();
      await client.register(here, before);
      const standing = await client.standing(here, after);
      expect(standing).toMatchObject({ status: 'conflict', detail: expect.stringMatching(message) });
      const failure = await client.register(here, after).catch((error: unknown) => error);
      expect(failure).toMatchObject({ name: 'IncompatibleSchema', retriable: false, subject: here });
      expect((failure as Error).message).toMatch(message);
      expect((failure as Error).message).toContain(here);
    });

    it('tells a new subject from a known one, and forgets what is removed', async () => {
      const here = subject();
      expect(await client.standing(here, recordOf(a))).toEqual({ status: 'new' });
      await client.register(here, recordOf(a));
      await client.remove(here);
      await client.remove(here);
      expect(await client.subjects()).not.toContain(here);
      expect(await client.standing(here, recordOf(a))).toEqual({ status: 'new' });
      await client.register(here, recordOf({ name: 'a', type: 'string' }));
    });

    it('answers null for an id that nobody knows, many at once', async () => {
      const id = await client.register(subject(), recordOf(a));
      const unknown = 2_000_000_000;
      expect(await client.schemaById(unknown)).toBe(null);
      const found = await client.schemasById([unknown, id, id, unknown + 1]);
      expect([...found.keys()].sort((a, b) => a - b)).toEqual([id, unknown, unknown + 1]);
      expect(found.get(unknown)).toBe(null);
      expect(found.get(id)).toContain('Thing');
    });
  });
}
