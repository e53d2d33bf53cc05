import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MINUTE } from '../../schemas/time.ts';
import { read } from '../architecture/sources.ts';
import { installPyPi } from './pypi.ts';
import { type ApiWorld, as, createApiWorld, testKeys } from './world.ts';

/** What the manual says, as it stands there: the configuration of the generator, and the program that uses the client. */
const manual = read('docs/user_guides/api.md').split('\n## From Python\n')[1] ?? '';
const blockOf = (language: string) =>
  new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(manual)?.[1] ?? '';

const generator = await installPyPi('openapi-python-client', '0.29.1');
const reason = 'reason' in generator ? generator.reason : null;

describe.skipIf(reason !== null)(
  `a Python client from the OpenAPI document${reason === null ? '' : ` (${reason})`}`,
  () => {
    const home = mkdtempSync(join(tmpdir(), 'millrace-python-'));
    let world: ApiWorld;
    let url: string;

    const python = (...parameters: string[]): Promise<{ code: number; out: string }> => {
      const packages = 'packages' in generator ? generator.packages : '';
      const env = {
        ...process.env,
        PYTHONPATH: [packages, home].join(delimiter),
        MILLRACE_URL: url,
        MILLRACE_KEY: as('operator').authorization.replace('Bearer ', ''),
      };
      return new Promise((done) => {
        execFile('python3', parameters, { cwd: home, env }, (error, out, err) =>
          done({ code: error === null ? 0 : 1, out: out + err }),
        );
      });
    };

    beforeAll(async () => {
      world = await createApiWorld({ keys: testKeys() });
      await world.app.listen({ host: '127.0.0.1', port: 0 });
      url = `http://127.0.0.1:${(world.app.server.address() as AddressInfo).port}`;
      world.run();
      const trip = {
        type: 'trip.started',
        time: Date.now() - 2 * MINUTE,
        car: 'c0',
        zone: 'north',
        to: 'station',
      };
      const headers = { host: 'localhost', ...as('operator') };
      const sent = await world.app.inject({
        method: 'POST',
        url: '/v1/events/trips',
        headers,
        payload: trip,
      });
      expect(sent.statusCode).toBe(202);
      const features = () => world.app.inject({ url: '/v1/features/zone?entity=north', headers });
      for (let turn = 0; turn < 500 && (await features()).statusCode !== 200; turn += 1)
        await new Promise((done) => setTimeout(done, 20));
    });
    afterAll(async () => {
      await world.close();
      rmSync(home, { recursive: true, force: true });
    });

    it('is generated whole, and sends, reads and asks as the manual shows', async () => {
      writeFileSync(join(home, 'millrace.yaml'), blockOf('yml'));
      const generate = ['-m', 'openapi_python_client', 'generate', '--url', `${url}/openapi.json`];
      const made = await python(
        ...generate,
        '--config',
        'millrace.yaml',
        '--meta',
        'none',
        '--output-path',
        'millrace_api',
      );
      // It leaves out what it does not understand, and says so.
      expect(made).toEqual({ code: 0, out: expect.not.stringMatching(/WARNING|ERROR/) });

      const time = Date.now() - MINUTE;
      writeFileSync(join(home, 'use.py'), blockOf('python').replaceAll('TIME', String(time)));
      const used = await python('use.py');
      expect(used).toEqual({
        code: 0,
        out: expect.stringMatching(/^sent \d+\nsent 2 events\nstarts_10m \d+\nscored 0\.\d+\n$/),
      });
    });
  },
);
