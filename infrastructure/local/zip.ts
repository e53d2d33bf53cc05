import { inflateRawSync } from 'node:zlib';

/**
 * The first file of a zip archive whose name fits, unpacked. Reads the central directory (APPNOTE 4.3.12);
 * stored and deflated entries below 4 GB, which is what Python wheels are made of.
 */
export function unzip(archive: Buffer, fits: (name: string) => boolean): Buffer | undefined {
  const end = archive.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0) throw new Error('not a zip archive: no end of central directory');
  const entries = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  for (let i = 0; i < entries; i++) {
    const method = archive.readUInt16LE(at + 10);
    const size = archive.readUInt32LE(at + 20);
    const nameLength = archive.readUInt16LE(at + 28);
    const rest = archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength);
    if (fits(name)) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const packed = archive.subarray(start, start + size);
      return method === 0 ? packed : inflateRawSync(packed);
    }
    at += 46 + nameLength + rest;
  }
  return undefined;
}
