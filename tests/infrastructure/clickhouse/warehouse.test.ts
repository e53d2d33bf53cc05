import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createWarehouse } from '../../../infrastructure/clickhouse/warehouse.ts';
import { createMemoryWarehouse } from '../../../infrastructure/memory/warehouse.ts';
import { testStack } from '../../stack.ts';
import { checkWarehouse } from './conformance.ts';

checkWarehouse('in this process', () => createMemoryWarehouse());
checkWarehouse('server', async () => {
  const { clickhouse } = await testStack(['clickhouse']);
  return createWarehouse({ url: clickhouse, database: 'millrace_tests' });
});

describe('a warehouse that is not there', () => {
  it('is unreachable, and worth another try', async () => {
    const warehouse = createWarehouse({ url: 'http://127.0.0.1:1', database: 'x' });
    await expect(warehouse.query('SELECT 1')).rejects.toMatchObject({ code: 'unreachable', retriable: true });
    await expect(warehouse.query('SELECT 1')).rejects.toThrow(/127\.0\.0\.1:1 cannot be reached/);
    await warehouse.close();
  });

  it('hangs up in the middle: the answer is lost; too many parts: overloaded; wrong password: not allowed', async () => {
    let answer: 'hang up' | 'no reason' | number = 'hang up';
    const server = createServer((request, response) => {
      request.resume();
      if (answer === 'hang up') return request.socket.destroy();
      if (answer === 'no reason') {
        response.writeHead(431).end();
        return undefined;
      }
      response.statusCode = 500;
      response.end(`Code: ${answer}. DB::Exception: Some words. (SOME_NAME) (version 26.7)`);
      return undefined;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const warehouse = createWarehouse({ url: `http://127.0.0.1:${port}`, database: 'x' });
    const insert = () => warehouse.insert('t', [{ a: 1 }], { token: 'x' });
    await expect(insert()).rejects.toMatchObject({ code: 'answer_lost', retriable: true });
    answer = 252;
    await expect(insert()).rejects.toMatchObject({ code: 'overloaded', retriable: true });
    answer = 516;
    await expect(insert()).rejects.toMatchObject({ code: 'not_allowed', retriable: false });
    answer = 'no reason';
    await expect(insert()).rejects.toThrow('the insert into t: HTTP status 431, without a reason');
    await expect(warehouse.query('SELECT 1')).rejects.toThrow('HTTP status 431, without a reason');
    await expect(warehouse.stream('SELECT 1')).rejects.toThrow('HTTP status 431, without a reason');
    await warehouse.close();
    server.close();
  });
});
