import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { forgetSecrets, hideSecrets, knowSecrets, redact, secretsOfUrl } from '../../schemas/redaction.ts';

afterEach(forgetSecrets);

describe('what is known to be secret', () => {
  it('is taken out in every form in which it may turn up', () => {
    const secret = 'p"a\\ss/w&rd+1 ü';
    knowSecrets([secret]);
    for (const form of [
      secret,
      JSON.stringify({ error: secret }),
      JSON.stringify({ line: JSON.stringify({ error: secret }) }),
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64'),
    ]) {
      const said = redact(`before ${form} after`);
      expect(said).toMatch(/^before .* after$/);
      expect(said).toContain('***');
      expect(said).not.toContain('w&rd');
    }
  });

  it('the longest of several counts, and one that others contain', () => {
    knowSecrets(['hunter22', 'hunter22-and-more']);
    expect(redact('a hunter22-and-more b hunter22')).toBe('a *** b ***');
  });

  it('a short one is taken out as a word and cuts no other word up', () => {
    knowSecrets(['test', 'abc']);
    expect(redact('the latest test: abc')).toBe('the latest ***: abc');
  });

  it('a private key is, line by line', () => {
    const line = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ';
    knowSecrets([`-----BEGIN PRIVATE KEY-----\n${line}\nabc\n-----END PRIVATE KEY-----\n`]);
    expect(redact(`error in ${line}`)).toBe('error in ***');
  });

  it('never adds or loses anything else', () => {
    knowSecrets(['correct horse battery']);
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (before, after) => {
        fc.pre(!`${before}${after}`.includes('//'));
        expect(redact(`${before}correct horse battery${after}`)).toBe(`${before}***${after}`);
      }),
    );
  });
});

describe('an address', () => {
  it.each([
    'fetch failed: http://key:secret@host:80/x',
    'redis://:secret@host/0 refused',
    'Request cannot be constructed from a URL that includes credentials: https://u:se%40cret@h/',
    'clickhouse at http://a:b:secret@h',
  ])('loses user and password though nobody told of them: %s', (text) => {
    expect(redact(text)).not.toMatch(/secret|se%40cret/);
    expect(redact(text)).toContain('***@h');
  });

  it('without them stays as it is', () => {
    for (const text of [
      'see http://host:8123/x?y=a@b.c',
      'mail a@b.c',
      'http://[::1]:80/',
      '{"a":"//x","b":"c@d"}',
    ])
      expect(redact(text)).toBe(text);
  });

  it('a very long one takes no long time', () => {
    const started = performance.now();
    redact(`//${':'.repeat(200_000)} @ ${'//a:'.repeat(50_000)}`);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it.each([
    ['http://key-12:s3cret@host', false, ['s3cret', 'key-12:s3cret', 'key-12']],
    ['redis://default:s3cret@host', false, ['s3cret', 'default:s3cret']],
    ['http://host/api?token=abcd&x=1', false, ['abcd']],
    [
      'https://hooks.slack.com/services/T0123ABCD/B0123ABCD/x1y2z3x1y2z3',
      true,
      ['T0123ABCD', 'x1y2z3x1y2z3'],
    ],
    ['https://chat.example/hooks/send?key=K1&token=T1', true, ['K1', 'T1']],
    ['http://host:9093', false, []],
    ['https://example.com/alerts/hook', true, []],
    ['http//user:pw@broken', false, ['http//user:pw@broken']],
  ])('%s has these secrets', (url, path, secrets) => {
    const found = secretsOfUrl(url, { path });
    for (const secret of secrets) expect(found).toContain(secret);
    if (secrets.length === 0) expect(found).toEqual([]);
  });
});

it('an object with secrets shows itself without them, and can be used', () => {
  knowSecrets(['hunter22!']);
  const hidden = hideSecrets({ url: 'http://h', password: 'hunter22!', more: { list: ['hunter22!'] } });
  expect(hidden.password).toBe('hunter22!');
  expect(JSON.stringify({ hidden })).toBe(
    '{"hidden":{"url":"http://h","password":"***","more":{"list":["***"]}}}',
  );
  expect(inspect(hidden)).not.toContain('hunter22');
  expect(hidden).toEqual({ url: 'http://h', password: 'hunter22!', more: { list: ['hunter22!'] } });
});
