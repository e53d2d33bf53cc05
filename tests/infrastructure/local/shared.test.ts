import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { testStack } from '../../stack.ts';

describe('the stack that tests share', () => {
  it('is one, whoever asks, and grows by what is asked for', async () => {
    const [one, two] = await Promise.all([testStack(['redis']), testStack(['redis'])]);
    expect(one.redis).toBe(two.redis);
    const redis = new Redis(one.redis);
    expect(await redis.ping()).toBe('PONG');
    redis.disconnect();
    const more = await testStack(['clickhouse']);
    expect(more.redis).toBe(one.redis);
    expect(await (await fetch(`${more.clickhouse}/ping`)).text()).toBe('Ok.\n');
  });
});
