import fc from 'fast-check';
import { expect, it } from 'vitest';
import { notPublic } from '../../../infrastructure/alerting/address.ts';
import { createGuard, RefusedAddress } from '../../../infrastructure/alerting/guard.ts';

const guard = createGuard({
  allowPrivate: [],
  resolve: async (host) => {
    throw new Error(`${host} was taken for a name`);
  },
});

type Octets = readonly [number, number, number, number];

const number = (value: number) =>
  fc.constantFrom(
    String(value),
    `0x${value.toString(16)}`,
    `0X${value.toString(16)}`,
    `0${value.toString(8)}`,
    `0x000${value.toString(16)}`,
  );

/** The ways in which a URL may write an IPv4 address: 1 to 4 parts, each decimal, octal or hexadecimal; or inside IPv6. */
function written([a, b, c, d]: Octets): fc.Arbitrary<string> {
  const parts = (...values: number[]) => fc.tuple(...values.map(number)).map((texts) => texts.join('.'));
  const hex = (high: number, low: number) => (high * 256 + low).toString(16);
  const group = (high: number, low: number) =>
    fc.constantFrom(hex(high, low), hex(high, low).padStart(4, '0'), hex(high, low).toUpperCase());
  return fc.oneof(
    parts(((a * 256 + b) * 256 + c) * 256 + d),
    parts(a, (b * 256 + c) * 256 + d),
    parts(a, b, c * 256 + d),
    parts(a, b, c, d),
    fc.constantFrom(`[::ffff:${a}.${b}.${c}.${d}]`, `[0:0:0:0:0:ffff:${a}.${b}.${c}.${d}]`),
    fc.tuple(group(a, b), group(c, d)).map(([high, low]) => `[::FFFF:${high}:${low}]`),
  );
}

const octet = fc.nat(255);
const closed = fc.oneof(
  fc.tuple(fc.constantFrom(0, 10, 127), octet, octet, octet),
  fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), octet, octet),
  fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
  fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), octet, octet),
  fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
  fc.tuple(fc.integer({ min: 224, max: 255 }), octet, octet, octet),
);
const open = fc.tuple(fc.constantFrom(1, 8, 9, 93, 151, 185), octet, octet, octet);

const disguised = (octets: fc.Arbitrary<[number, number, number, number]>) =>
  octets.chain((address) => written(address).map((host) => ({ address, host })));

it('no way of writing a private address gets past the guard', async () => {
  await fc.assert(
    fc.asyncProperty(disguised(closed), fc.constantFrom('', ':80', ':9093'), async ({ host }, port) => {
      await expect(guard(`http://${host}${port}/x`)).rejects.toThrow(RefusedAddress);
    }),
    { numRuns: 1_000 },
  );
});

it('a public address passes however it is written, and goes where it says', async () => {
  await fc.assert(
    fc.asyncProperty(disguised(open), async ({ address, host }) => {
      const { addresses } = await guard(`https://${host}/x`);
      expect(addresses).toHaveLength(1);
      if (!host.startsWith('[')) expect(addresses[0]?.address).toBe(address.join('.'));
    }),
    { numRuns: 500 },
  );
});

it('of IPv6 only global unicast is public, and of that nothing that stands for something else', () => {
  const group = fc.nat(0xffff).map((value) => value.toString(16));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const first = Number.parseInt(groups[0] ?? '', 16);
      const global = first >= 0x2000 && first <= 0x3fff;
      if (!global) expect(notPublic(groups.join(':'))).not.toBeNull();
    }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom('2002', '2001:db8', '2001:0', '3fff:0'),
      fc.array(group, { minLength: 6, maxLength: 6 }),
      (start, rest) => {
        const groups = [...start.split(':'), ...rest, ...rest].slice(0, 8);
        expect(notPublic(groups.join(':'))).not.toBeNull();
      },
    ),
  );
});
