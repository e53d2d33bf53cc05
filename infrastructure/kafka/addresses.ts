import { createRequire } from 'node:module';

/**
 * IPv6 addresses of brokers, `[::1]:9092`. kafkajs cuts an address at its first colon, so it is handed the host with dashes in
 * place of colons, and connects through a socket factory that reads it back. What brokers tell of themselves has no brackets.
 */

const require = createRequire(import.meta.url);

interface SocketOptions {
  readonly host: string;
  readonly port: number;
  readonly ssl?: object;
  readonly onConnect: () => void;
}
type SocketFactory = (options: SocketOptions) => unknown;
const createDefaultFactory = require('kafkajs/src/network/socketFactory') as () => SocketFactory;

/** `host:port` as kafkajs can cut it. */
export const cuttable = (address: string) =>
  address.replace(/^\[([^\]]*)\]/, (_, host: string) => `[${host.replaceAll(':', '-')}]`);

/** The host of such an address, as Node connects to it. */
export const hostOf = (host: string) =>
  host.startsWith('[') ? host.slice(1, -1).replaceAll('-', ':') : host;

export function createSocketFactory(): SocketFactory {
  const open = createDefaultFactory();
  return (options) => open({ ...options, host: hostOf(options.host) });
}
