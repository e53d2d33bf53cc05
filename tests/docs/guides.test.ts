import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { type Artefact, addressOf, parseArtefact, serialiseArtefact } from '../../models/artefact.ts';
import { hashDataset } from '../../models/dataset.ts';
import { metricsOf } from '../../models/metrics.ts';
import { createScorer } from '../../models/scorer.ts';
import type { Trained } from '../../models/trainer.ts';
import { root } from '../architecture/sources.ts';
import { manifestOf, syntheticDataset } from '../models/fixtures.ts';
import { blocksOf } from './documents.ts';
import { commandLines } from './shell.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-guides-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function millrace(words: readonly string[], cwd: string): Promise<{ code: number; out: string }> {
  const env = { ...process.env, NO_COLOR: '1', MILLRACE_DATA: join(directory, 'data') };
  return new Promise((done) => {
    execFile(process.execPath, [join(root, 'cli/millrace.ts'), ...words], { cwd, env }, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code ?? 1), out: out + err }),
    );
  });
}

describe('Declare a stream', () => {
  const project = join(directory, 'delivery');
  const blocks = blocksOf('docs/user_guides/declare.md');

  beforeAll(() => {
    for (const { text } of blocks.filter(({ language }) => language === 'yaml')) {
      const [, file = ''] = /^# (\S+)\n/.exec(text) ?? [];
      mkdirSync(dirname(join(project, file)), { recursive: true });
      writeFileSync(join(project, file), text);
    }
    // The guide's two records, for a thousand orders of some riders and shops on twelve days.
    const [placed = '', delivered = ''] = blocks
      .filter(({ language }) => language === 'json')
      .flatMap(({ text }) => text.trim().split('\n'));
    const lines = Array.from({ length: 1_000 }, (_, at) => {
      const order = { order: `o-${at}`, rider: `r-${at % 7}`, shop: { id: `s-${at % 5}` } };
      const when = Date.parse(JSON.parse(placed).when) + at * 1_036_800;
      const iso = (time: number) => new Date(time).toISOString();
      return [
        { ...JSON.parse(placed), ...order, uid: `p-${at}`, when: iso(when), km: (at % 60) / 10 },
        { ...JSON.parse(delivered), ...order, uid: `d-${at}`, when: iso(when + 60_000), late: at % 7 > 4 },
      ];
    }).flat();
    writeFileSync(join(project, 'orders.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  });

  it('the files of the page are a project that is right, and its commands print what it says', async () => {
    const [shell] = blocks.filter(({ text }) => text.includes('millrace try'));
    const [check = [], attempt = []] = commandLines(shell?.text ?? '');
    const checked = await millrace(check, project);
    expect(checked.out).toContain('delivery is right');
    expect(checked.code).toBe(0);
    const tried = await millrace(attempt, project);
    expect(tried.code, tried.out).toBe(0);
    for (const feature of ['orders_30m', 'late_3h', 'km_mean_3h']) expect(tried.out).toContain(feature);
    // Both kinds of event passed, since there are labels to learn from.
    expect(tried.out).toMatch(/late, on \d+ later requests/);
  });

  it('a mistake is named with its line', async () => {
    const wrong = join(project, 'views/shop.yaml');
    writeFileSync(
      wrong,
      'view: shop\nentity: [shop]\nresolution: 10s\nfeatures:\n  - { name: a, of: way }\n',
    );
    const { code, out } = await millrace(['check'], project);
    expect(code).toBe(2);
    expect(out).toMatch(/views\/shop\.yaml:5/);
  });
});

describe('Read a drift alert', () => {
  it('shows the sentence that the rule of the example makes of the figures', () => {
    const [block] = blocksOf('docs/user_guides/drift_alert.md').filter(({ language }) => language === 'json');
    const alert = JSON.parse(block?.text ?? '') as Record<string, unknown>;
    const { alerting } = loadProject(join(root, 'docs/examples/payments'), { environment: {} });
    const rule = alerting.rules.find(({ name }) => name === alert.rule);
    expect(rule?.summary.replace(/\{(\w+)\}/g, (_, name: string) => String(alert[name]))).toBe(alert.summary);
    expect(rule?.severity).toBe(alert.severity);
  });
});

describe('Write a trainer', () => {
  const [block] = blocksOf('docs/user_guides/trainer.md').filter(({ language }) => language === 'ts');
  interface Page {
    discriminantSpecOf(parameters: object, features: readonly string[]): object;
    trainDiscriminant(data: object, spec: object): Promise<Trained>;
  }
  let page: Page;
  const data = syntheticDataset(1_500, 1);
  const fresh = syntheticDataset(1_500, 2);
  const train = (parameters: object = { 'cycle.hour': 24 }) =>
    page.trainDiscriminant(data, page.discriminantSpecOf(parameters, data.names));

  const artefactOf = ({ body, calibration, importance }: Trained): Artefact => ({
    manifest: { ...manifestOf(data.names), importance: [...importance] },
    body,
    calibration,
  });

  beforeAll(async () => {
    const file = join(directory, 'discriminant.ts');
    writeFileSync(file, (block?.text ?? '').replaceAll("from './", `from '${root}/models/`));
    page = await import(file);
  });

  it('leaves its rows unchanged, and gives the same bytes for the same seed', async () => {
    const before = hashDataset(data);
    const [first, second] = [await train(), await train()].map((one) => serialiseArtefact(artefactOf(one)));
    expect(hashDataset(data)).toBe(before);
    expect(second).toEqual(first);
  });

  it('learns, and scores the same bits after it was written and read', async () => {
    const trained = await train();
    const bytes = serialiseArtefact(artefactOf(trained));
    const scores = new Float64Array(fresh.labels.length);
    createScorer(parseArtefact(bytes, addressOf(bytes))).scoreBatch(fresh.rows, scores.length, scores);
    const direct = new Float64Array(fresh.labels.length);
    createScorer(artefactOf(trained)).scoreBatch(fresh.rows, direct.length, direct);
    expect(scores).toEqual(direct);
    expect(metricsOf(scores, fresh.labels).auc).toBeGreaterThan(0.72);
    expect(trained.importance).toHaveLength(data.names.length);
  });

  it('names a parameter that is unknown or out of range', () => {
    expect(() => page.discriminantSpecOf({ rigde: 1 }, data.names)).toThrow(/rigde/);
    expect(() => page.discriminantSpecOf({ ridge: -1 }, data.names)).toThrow(/ridge/);
  });
});
