import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Artefact,
  ArtefactError,
  addressOf,
  LayoutMismatch,
  parseArtefact,
  serialiseArtefact,
} from '../../models/artefact.ts';
import type { Calibration } from '../../models/calibration.ts';
import { modelCard } from '../../models/card.ts';
import { createScorer } from '../../models/scorer.ts';
import { layoutHash } from '../../schemas/layout.ts';
import { manifestOf, randomArtefact, roundTrip, syntheticDataset } from './fixtures.ts';

const layoutOf = (...names: readonly string[]) => layoutHash(names.map((name) => ({ name })));

const calibrations: Calibration[] = [
  { kind: 'none' },
  { kind: 'platt', slope: 0.9, intercept: -0.1 },
  { kind: 'isotonic', logits: [-1, 0.5, 2], rates: [0, 0.25, 1] },
];

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof ArtefactError) return error.code;
    throw error;
  }
  return 'no error';
}

/** The same file with another value somewhere, at its own, true address. */
function tampered(artefact: Artefact, change: (file: Record<string, unknown>) => void): () => Artefact {
  const file = JSON.parse(Buffer.from(serialiseArtefact(artefact)).toString('utf8'));
  change(file);
  const bytes = Buffer.from(JSON.stringify(file));
  return () => parseArtefact(bytes, addressOf(bytes));
}

describe('artefact', () => {
  it('law: parse(serialise(a)) scores the same bits, and has the same bytes and address', () => {
    const { rows } = syntheticDataset(50, 77);
    for (const calibration of calibrations) {
      for (let seed = 1; seed <= 5; seed++) {
        const artefact = randomArtefact(seed, calibration);
        const again = roundTrip(artefact);
        expect(serialiseArtefact(again)).toEqual(serialiseArtefact(artefact));
        const scores = [artefact, again].map((one) => {
          const out = new Float64Array(50);
          createScorer(one).scoreBatch(rows, 50, out);
          return out;
        });
        expect(scores[1]).toEqual(scores[0]);
      }
    }
  });

  it('has one address whatever the order in which its fields were written', () => {
    const artefact = randomArtefact(1);
    const turned = Object.fromEntries(Object.entries(artefact.manifest).reverse()) as Artefact['manifest'];
    expect(addressOf(serialiseArtefact({ ...artefact, manifest: turned }))).toBe(
      addressOf(serialiseArtefact(artefact)),
    );
    const other = { ...artefact, manifest: { ...artefact.manifest, threshold: 0.4 } };
    expect(addressOf(serialiseArtefact(other))).not.toBe(addressOf(serialiseArtefact(artefact)));
  });

  it('law: any altered byte is refused', () => {
    const bytes = serialiseArtefact(randomArtefact(2));
    const address = addressOf(bytes);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const altered = Uint8Array.from(bytes);
        altered[at] = (altered[at] ?? 0) ^ flip;
        expect(codeOf(() => parseArtefact(altered, address))).toBe('hash_mismatch');
      }),
    );
    expect(codeOf(() => parseArtefact(bytes.subarray(0, bytes.length - 1), address))).toBe('hash_mismatch');
  });

  it('refuses a format it does not know, before it looks at anything else', () => {
    const artefact = randomArtefact(3);
    expect(
      codeOf(tampered(artefact, (file) => Object.assign(file, { format: 'millrace-model/1', new: 1 }))),
    ).toBe('unknown_format');
    const empty = Buffer.from('null');
    expect(codeOf(() => parseArtefact(empty, addressOf(empty)))).toBe('unknown_format');
    const torn = Buffer.from('{"format":');
    expect(codeOf(() => parseArtefact(torn, addressOf(torn)))).toBe('malformed');
  });

  it('refuses parts that do not fit each other', () => {
    const artefact = randomArtefact(4);
    const refuse = (change: (file: Record<string, never>) => void) =>
      expect(codeOf(tampered(artefact, change as never))).toBe('malformed');
    refuse((file) => Object.assign(file, { extra: 1 }));
    refuse((file) =>
      Object.assign((file as never as { body: { layers: object[] } }).body.layers[0] ?? {}, { inputs: 3 }),
    );
    refuse((file) => Object.assign(file.manifest ?? {}, { layoutHash: layoutOf('x') }));
    refuse((file) => Object.assign(file.manifest ?? {}, { threshold: 2 }));
    refuse((file) => Object.assign(file.body ?? {}, { encoder: { features: [] } }));
    refuse((file) => Object.assign(file.body ?? {}, { kind: 'forest' }));
    refuse((file) => Object.assign(file.manifest ?? {}, { importance: [1] }));
    const spaced = Buffer.from(` ${Buffer.from(serialiseArtefact(artefact)).toString('utf8')}`);
    expect(codeOf(() => parseArtefact(spaced, addressOf(spaced)))).toBe('malformed');
  });

  it('refuses to write what it could not read', () => {
    const artefact = randomArtefact(5);
    const manifest = { ...manifestOf(['a', 'b']) };
    expect(codeOf(() => serialiseArtefact({ ...artefact, manifest }))).toBe('malformed');
    const { body } = artefact;
    const cut = body.kind === 'dense' ? { ...body, layers: body.layers.slice(1) } : body;
    expect(codeOf(() => serialiseArtefact({ ...artefact, body: cut }))).toBe('malformed');
  });

  it('says which layout it learnt from, and refuses another', () => {
    const artefact = randomArtefact(6);
    const other = layoutOf('b.mean', 'a.sum', 'hour', 'noise');
    expect(() => createScorer(artefact, other)).toThrow(LayoutMismatch);
    expect(() => createScorer(artefact, other)).toThrow('train it again');
    expect(createScorer(artefact, artefact.manifest.layoutHash).layoutHash).toBe(
      artefact.manifest.layoutHash,
    );
  });
});

describe('model card', () => {
  it('tells what is in the artefact, and nothing else', () => {
    const artefact = randomArtefact(7);
    const address = addressOf(serialiseArtefact(artefact));
    const card = modelCard(artefact, address);
    expect(card).toContain('# Model late');
    expect(card).toContain(address);
    expect(card).toContain(
      '900 rows from 2001-01-08 00:00 to 2001-05-14 00:00 UTC (400 logged, 500 backfilled)',
    );
    expect(card).toContain('| test | 100 | 0.2000 | 0.9000 | 0.2700 | 0.0800 | 0.0100 |');
    expect(card).toContain('| base rate alone | 100 | 0.2000 | - |');
    expect(card).not.toContain('calendar alone');
    expect(card).toContain('| noise | 25.0 % | counts as 0, and is flagged |');
  });
});

describe('layout hash', () => {
  it('knows a feature by its expression too', () => {
    const same = { name: 'abroad', expression: 'country != card_country' };
    const other = { name: 'abroad', expression: 'country == card_country' };
    expect(layoutHash([same])).toBe(layoutHash([{ ...same }]));
    expect(layoutHash([same])).not.toBe(layoutHash([other]));
    expect(layoutHash([same])).not.toBe(layoutHash([{ name: 'abroad' }]));
    const artefact = randomArtefact(1);
    const manifest = manifestOf(artefact.manifest.features, { hour: 'time / 3600000' });
    expect(roundTrip({ ...artefact, manifest }).manifest).toEqual(manifest);
    const changed = { ...manifest, expressions: { hour: 'time' } };
    expect(() => serialiseArtefact({ ...artefact, manifest: changed })).toThrow('layout hash');
  });

  it('is SHA-256 of the names joined by line feeds', () => {
    // printf 'a\nb' | sha256sum
    expect(layoutOf('a', 'b')).toBe('7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78');
  });

  it('depends on order, and refuses names that would make two layouts one', () => {
    expect(layoutOf('a', 'b')).not.toBe(layoutOf('b', 'a'));
    expect(() => layoutOf('a\nb')).toThrow('line feed');
    expect(() => layoutOf('')).toThrow('layout');
    expect(() => layoutOf('a', 'a')).toThrow('twice');
  });
});
