import { describe, expect, it } from 'vitest';
import { notPublic } from '../../../infrastructure/alerting/address.ts';
import { type Address, createGuard, RefusedAddress } from '../../../infrastructure/alerting/guard.ts';

const v4 = (address: string): Address => ({ address, family: 4 });

/** What names answer here; nothing is asked of a real resolver. */
const NAMES: Readonly<Record<string, readonly Address[]>> = {
  'hooks.example.com': [v4('93.184.216.34')],
  'inside.example.com': [v4('10.1.2.3')],
  'half.example.com': [v4('93.184.216.34'), v4('192.168.0.9')],
  'six.example.com': [{ address: '::ffff:10.0.0.1', family: 6 }],
  localhost: [v4('127.0.0.1')],
  'localhost.': [v4('127.0.0.1')],
  'gone.example.com': [],
};
const resolve = async (host: string) => {
  const found = NAMES[host];
  if (found === undefined) throw new Error(`${host} was taken for a name`);
  return found;
};
const guard = createGuard({ allowPrivate: [], resolve });

describe('addresses that are not public', () => {
  it.each([
    ['0.0.0.0', 'unspecified'],
    ['10.255.255.255', 'private'],
    ['100.64.0.1', "private (a provider's, CGNAT)"],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['198.18.0.1', 'for benchmarks'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'reserved'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['fc00::1', 'private'],
    ['fd12:3456::1', 'private'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['febf::1', 'link-local'],
    ['ff02::1', 'multicast'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:ffff:0a00:0001', 'private'],
    ['::127.0.0.1', 'reserved'],
    ['2002:7f00:1::', 'a tunnel to an IPv4 address'],
    ['64:ff9b::7f00:1', 'a gateway to an IPv4 address'],
    ['2001:0:4136:e378::1', 'reserved'],
    ['2001:db8::1', 'for documentation'],
    ['not an address', 'no address'],
  ])('%s is %s', (address, what) => {
    expect(notPublic(address)).toBe(what);
  });

  it.each([
    '1.1.1.1',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '2606:4700::1111',
    '::ffff:1.1.1.1',
    '223.255.255.255',
  ])('%s is public', (address) => {
    expect(notPublic(address)).toBeNull();
  });
});

describe('the guard of receivers', () => {
  it.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://017700000001/',
    'http://127.0.0.1./',
    'http://１２７.0.0.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[0:0:0:0:0:ffff:7f00:1]:8080/',
    'http://[fd00::1]/',
    'http://0/',
    'http://0.0.0.0:9099/',
    'https://169.254.169.254/latest/meta-data/',
    'http://user:pass@10.0.0.1/',
    'http://1.1.1.1@127.0.0.1/',
    'http://localhost/',
    'http://LOCALHOST./',
    'http://inside.example.com/',
    'http://half.example.com/',
    'http://six.example.com/',
  ])('refuses %s', async (url) => {
    await expect(guard(url)).rejects.toThrow(RefusedAddress);
  });

  it.each([
    'file:///etc/passwd',
    'ftp://1.1.1.1/',
    'gopher://1.1.1.1/',
    'nonsense',
    '',
    'http://',
    'http://[fe80::1%25eth0]/',
  ])('takes %j for no address', async (url) => {
    await expect(guard(url)).rejects.toThrow(RefusedAddress);
  });

  it('lets public addresses and names pass, with the addresses that it saw', async () => {
    expect((await guard('https://hooks.example.com/x')).addresses).toEqual([v4('93.184.216.34')]);
    expect((await guard('http://1.1.1.1:8080/x')).addresses).toEqual([v4('1.1.1.1')]);
    await expect(guard('http://gone.example.com/')).rejects.toThrow('gone.example.com has no address.');
  });

  it('says what to write where it is meant', async () => {
    await expect(guard('http://0x7f.1:9099/alerts')).rejects.toThrow(
      "127.0.0.1:9099 is refused: it is loopback. If it is meant, add '127.0.0.1:9099' to allow_private in connections.yaml.",
    );
    await expect(guard('http://inside.example.com/')).rejects.toThrow(
      "inside.example.com is refused: 10.1.2.3 is private. If it is meant, add 'inside.example.com:80' to allow_private in connections.yaml.",
    );
  });

  it('lets pass what allow_private names: that host and that port alone', async () => {
    const open = createGuard({
      allowPrivate: ['127.0.0.1:9099, inside.example.com:443', '', '[::1]:80', 'LOCALHOST:1234'],
      resolve,
    });
    for (const url of [
      'http://127.0.0.1:9099/',
      'http://2130706433:9099/',
      'https://inside.example.com/',
      'http://[0::1]/',
      'http://localhost:1234/',
    ])
      expect((await open(url)).addresses, url).toHaveLength(1);
    for (const url of [
      'http://127.0.0.1/',
      'http://127.0.0.2:9099/',
      'http://inside.example.com/',
      'http://localhost:9099/',
    ])
      await expect(open(url), url).rejects.toThrow(RefusedAddress);
  });
});
