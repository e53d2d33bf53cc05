import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createRegistry } from '../../../infrastructure/registry/client.ts';
import { parseSchema } from '../../../schemas/avro.ts';
import { registeredSchema } from '../../../schemas/registered-schema.ts';
import { testStack } from '../../stack.ts';
import { registryConformance } from './conformance.ts';

registryConformance('over HTTP', async () => {
  const { registry } = await testStack(['kafka', 'registry']);
  return createRegistry({ url: registry });
});

describe('a registry that misbehaves', () => {
  const servers: Server[] = [];

  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const server = createServer(answer);
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/apis/ccompat/v7` };
  }

  it('that is away is told so in a sentence, and may be tried again', async () => {
    await expect(createRegistry({ url: 'http://127.0.0.1:9/x' }).schemaById(1)).rejects.toMatchObject({
      name: 'RegistryError',
      code: 'unreachable',
      retriable: true,
      message: expect.stringMatching(/127\.0\.0\.1:9.*does not answer.*is it running/),
    });
  });

  it('that stumbles once is asked again', async () => {
    let asked = 0;
    const registry = createRegistry(
      await serve((_, response) => {
        asked++;
        response.statusCode = asked === 1 ? 503 : 200;
        response.end('{"schema":"\\"int\\""}');
      }),
    );
    expect(await registry.schemaById(1)).toBe('"int"');
    expect(asked).toBe(2);
  });

  it('that wants a password names what to mend, and is not asked again', async () => {
    let asked = 0;
    const registry = createRegistry(
      await serve((_, response) => {
        asked++;
        response.statusCode = 401;
        response.end();
      }),
    );
    await expect(registry.register('s', 'int')).rejects.toMatchObject({
      code: 'not_allowed',
      retriable: false,
      message: expect.stringContaining('registry.username'),
    });
    expect(asked).toBe(1);
  });

  it('is sent the password it wants', async () => {
    let seen = '';
    const address = await serve((request, response) => {
      seen = request.headers.authorization ?? '';
      response.end('{"schema":"x"}');
    });
    await createRegistry({ ...address, username: 'u', password: 'p' }).schemaById(1);
    expect(seen).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
  });

  it('that is something else altogether is told so', async () => {
    const registry = createRegistry(await serve((_, response) => response.end('<html>')));
    await expect(registry.subjects()).rejects.toMatchObject({
      retriable: false,
      message: expect.stringMatching(/no JSON.*does registry\.url end in/),
    });
  });

  it('is asked once for an id: known for ever, unknown for ten seconds, together where together', async () => {
    let asked = 0;
    let time = 0;
    const address = await serve((request, response) => {
      asked++;
      response.statusCode = request.url?.endsWith('/7') ? 200 : 404;
      response.end(request.url?.endsWith('/7') ? '{"schema":"x"}' : '{"error_code":40403}');
    });
    const registry = createRegistry(address, { now: () => time });
    await Promise.all([registry.schemaById(7), registry.schemaById(7), registry.schemasById([7, 7])]);
    expect(await registry.schemaById(7)).toBe('x');
    expect(asked).toBe(1);
    expect([await registry.schemaById(8), await registry.schemaById(8)]).toEqual([null, null]);
    expect(asked).toBe(2);
    time += 10_001;
    expect(await registry.schemaById(8)).toBe(null);
    expect(asked).toBe(3);
  });
});

describe('schemas that others registered', () => {
  it('come with those that they name, and with their kind', async () => {
    const { registry: url } = await testStack(['kafka', 'registry']);
    const prefix = `test-${process.pid}-${Date.now()}`;
    const register = async (subject: string, body: object): Promise<number> => {
      const answer = await fetch(`${url}/subjects/${subject}/versions`, {
        method: 'POST',
        headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
        body: JSON.stringify(body),
      });
      expect(answer.ok, await answer.clone().text()).toBe(true);
      return ((await answer.json()) as { id: number }).id;
    };
    const fields = [{ name: 'value', type: 'double' }];
    const money = { type: 'record', name: 'Money', namespace: prefix.replaceAll('-', '_'), fields };
    const name = `${money.namespace}.Money`;
    const payment = { type: 'record', name: 'Payment', fields: [{ name: 'amount', type: name }] };
    await register(`${prefix}-money`, { schema: JSON.stringify(money) });
    const id = await register(`${prefix}-payment`, {
      schema: JSON.stringify(payment),
      references: [{ name, subject: `${prefix}-money`, version: 1 }],
    });
    const json = await register(`${prefix}-json`, {
      schemaType: 'JSON',
      schema: '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}',
    });

    const client = createRegistry({ url });
    const found = registeredSchema((await client.schemaById(id)) ?? '');
    expect(found.references.map((text) => JSON.parse(text))).toEqual([money]);
    const type = parseSchema(found.text, found.references);
    expect(type.isValid({ amount: { value: 1 } })).toBe(true);
    expect(await client.schemaById(json)).toMatchObject({ type: 'JSON' });
  });
});
