import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Not of the public internet, after the special-purpose registries of IANA (RFC 6890 and its successors). */
const IPV4: ReadonlyArray<readonly [network: string, prefix: number, what: string]> = [
  ['0.0.0.0', 8, 'unspecified'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, "private (a provider's, CGNAT)"],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved'],
  ['192.0.2.0', 24, 'for documentation'],
  ['192.88.99.0', 24, 'reserved'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'for benchmarks'],
  ['198.51.100.0', 24, 'for documentation'],
  ['203.0.113.0', 24, 'for documentation'],
  ['224.0.0.0', 4, 'multicast'],
  ['240.0.0.0', 4, 'reserved'],
];

/** Looked at in this order: those that carry an IPv4 address come first. */
const IPV6: ReadonlyArray<readonly [network: string, prefix: number, what: string]> = [
  ['::', 128, 'unspecified'],
  ['::1', 128, 'loopback'],
  ['fc00::', 7, 'private'],
  ['fe80::', 10, 'link-local'],
  ['fec0::', 10, 'private'],
  ['ff00::', 8, 'multicast'],
  ['2001::', 23, 'reserved'],
  ['2001:db8::', 32, 'for documentation'],
  ['2002::', 16, 'a tunnel to an IPv4 address'],
  ['64:ff9b::', 96, 'a gateway to an IPv4 address'],
  ['3fff::', 20, 'for documentation'],
];

const rangesOf = (list: typeof IPV4, family: 'ipv4' | 'ipv6') =>
  list.map(([network, prefix, what]) => {
    const block = new BlockList();
    block.addSubnet(network, prefix, family);
    return { block, what };
  });
const IPV4_RANGES = rangesOf(IPV4, 'ipv4');
const IPV6_RANGES = rangesOf(IPV6, 'ipv6');
const GLOBAL_UNICAST = new BlockList();
GLOBAL_UNICAST.addSubnet('2000::', 3, 'ipv6');
const MAPPED = new BlockList();
MAPPED.addSubnet('::ffff:0:0', 96, 'ipv6');

/** Why an address is not one of the public internet; null where it is. Anything that is no address is refused too. */
export function notPublic(address: string): string | null {
  if (isIPv4(address)) return IPV4_RANGES.find(({ block }) => block.check(address, 'ipv4'))?.what ?? null;
  // A zone (`%eth0`) is of link-local addresses alone.
  if (!isIPv6(address) || address.includes('%')) return isIPv6(address) ? 'link-local' : 'no address';
  if (MAPPED.check(address, 'ipv6')) return notPublic(mappedOf(address));
  const range = IPV6_RANGES.find(({ block }) => block.check(address, 'ipv6'));
  if (range !== undefined) return range.what;
  return GLOBAL_UNICAST.check(address, 'ipv6') ? null : 'reserved';
}

/** The IPv4 address in `::ffff:a.b.c.d`, however it is written. */
function mappedOf(address: string): string {
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [high = '', low = ''] = canonical.replace('::ffff:', '').split(':');
  const bits = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return bits.flatMap((word) => [word >> 8, word & 255]).join('.');
}
