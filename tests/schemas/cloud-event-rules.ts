/*
 * The rules of CloudEvents 1.0.2 (the core specification, its JSON format and its Kafka binding), written from their text and apart from
 * what Millrace emits.
 */

const REQUIRED = ['specversion', 'id', 'source', 'type'];
const RFC3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
/** RFC 3986: characters of a URI-reference, with every percent sign in front of two hex digits. */
const URI_REFERENCE = /^(?:[\w\-.~:/?#[\]@!$&'()*+,;=]|%[\dA-Fa-f]{2})+$/;
/** RFC 2046: type/subtype and parameters. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[^"]*"))*$/;

/** What is wrong with the attributes of an event; none where it is one. */
export function faultsOf(attributes: Readonly<Record<string, unknown>>): string[] {
  const faults = REQUIRED.filter((name) => !Object.hasOwn(attributes, name)).map((name) => `no ${name}`);
  for (const [name, value] of Object.entries(attributes)) {
    if (!/^[a-z0-9]{1,20}$/.test(name) || name === 'data') faults.push(`the name ${name}`);
    if (typeof value !== 'string') {
      faults.push(`${name} is a ${typeof value}`);
      continue;
    }
    if (value === '') faults.push(`${name} is empty`);
    for (const one of value) {
      const point = one.codePointAt(0) ?? 0;
      const control = point < 0x20 || (point >= 0x7f && point < 0xa0);
      const surrogate = point >= 0xd800 && point <= 0xdfff;
      const noncharacter = (point & 0xfffe) === 0xfffe || (point >= 0xfdd0 && point <= 0xfdef);
      if (control || surrogate || noncharacter) faults.push(`${name} holds U+${point.toString(16)}`);
    }
  }
  const text = (name: string) => (typeof attributes[name] === 'string' ? (attributes[name] as string) : null);
  if (text('specversion') !== '1.0') faults.push('specversion is not 1.0');
  if (!URI_REFERENCE.test(text('source') ?? '')) faults.push('source is no URI-reference');
  const [time, content] = [text('time'), text('datacontenttype')];
  if (time !== null && (!RFC3339.test(time) || Number.isNaN(Date.parse(time)))) faults.push('time');
  if (content !== null && !MEDIA_TYPE.test(content)) faults.push('datacontenttype');
  return faults;
}

/** A Kafka record in binary mode: attributes in headers `ce_…`, the type of the value in `content-type`. */
export function attributesOfRecord(headers: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  const strict = new TextDecoder('utf-8', { fatal: true });
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith('ce_')) found[name.slice(3)] = strict.decode(value);
    else if (name === 'content-type') found.datacontenttype = strict.decode(value);
  if (Object.hasOwn(headers, 'ce_datacontenttype')) throw new Error('datacontenttype goes in content-type');
  // `application/cloudevents` would say structured mode.
  if (/^application\/cloudevents/.test(found.datacontenttype ?? ''))
    throw new Error('this is structured mode');
  return found;
}

/** A body in structured mode: attributes and `data` beside each other. */
export function structuredFaults(contentType: string, body: string): string[] {
  if (!/^application\/cloudevents\+json(;|$)/.test(contentType)) return [`content type ${contentType}`];
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return ['no JSON object'];
  const { data, ...attributes } = parsed as Record<string, unknown>;
  if (Object.hasOwn(attributes, 'data_base64')) return ['data and data_base64'];
  return [...faultsOf(attributes), ...(data === undefined ? ['no data'] : [])];
}
