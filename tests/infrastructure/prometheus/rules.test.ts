import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { run } from '../../../infrastructure/local/install.ts';
import { createTelemetry } from '../../../infrastructure/telemetry/telemetry.ts';
import { root } from '../../architecture/sources.ts';
import { silentLogger } from '../telemetry/silent.ts';
import { debianProgram } from './debian.ts';

const RULES = join(root, 'infrastructure/prometheus/millrace.rules.yaml');
const TESTS = join(import.meta.dirname, 'millrace.rules.test.yaml');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string };
}
const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: Array<{ rules: Rule[] }> }).groups.flatMap(
  (group) => group.rules,
);

/** Names of metrics in an expression: what is followed by a selector, a range, a comparison, a bracket or an end. */
const metricsIn = (expression: string) =>
  [...expression.matchAll(/\b(?:millrace|process|nodejs)_[a-z0-9_]+\b/g)].map(([name]) => name);

describe('the rules for Prometheus', () => {
  it('name only metrics that are really exported, with labels that they really have', async () => {
    const telemetry = createTelemetry({ process: 'run', logger: silentLogger });
    telemetry.step('ingest', 'work', 1, 1);
    telemetry.refused('ingest', 'late', 1);
    telemetry.watermark('flights', 0, 1);
    telemetry.frontier('origin@1', 0, 1);
    telemetry.lag('ingest', 't', 0, 1);
    telemetry.featureAge('origin', 1);
    telemetry.score('late', 0.5);
    telemetry.failure('ingest', new Error('x'));
    telemetry.waiting('ingest', 'waking', 'p', 'It waits.');
    telemetry.failing('ingest', { reason: 'x', times: 2, sentence: 'x', final: false });
    telemetry.note('ingest', 'assigned');
    const text = await telemetry.metrics();
    const exported = new Map<string, Set<string>>();
    for (const [, name = '', labels = ''] of text.matchAll(/^([a-z0-9_]+)\{([^}]*)\} /gm)) {
      const names = exported.get(name) ?? new Set();
      for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) names.add(label);
      exported.set(name, names);
    }
    expect(rules.length).toBeGreaterThan(10);
    for (const { alert, expr, annotations } of rules) {
      const names = metricsIn(expr);
      if (alert !== 'MillraceDown') expect(names, alert).not.toEqual([]);
      for (const name of names) expect([...exported.keys()], `${name} of ${alert}`).toContain(name);
      // What Prometheus adds to each target.
      const known = new Set([
        ...names.flatMap((name) => [...(exported.get(name) ?? [])]),
        'job',
        'instance',
        'le',
      ]);
      const named = [
        ...expr.matchAll(/by \(([^)]*)\)/g),
        ...annotations.summary.matchAll(/\$labels\.(\w+)/g),
        ...expr.matchAll(/(\w+)=~?"/g),
      ].flatMap(([, list = '']) => list.split(',').map((one) => one.trim()));
      for (const label of named) expect([...known], `label ${label} of ${alert}`).toContain(label);
    }
  });

  it('name streams as these name themselves', () => {
    const streams = ['ingest', 'features', 'inference late', 'archive', 'monitoring', 'delivery'];
    const selectors = rules.flatMap(({ expr }) => [...expr.matchAll(/stream=(~?)"([^"]*)"/g)]);
    expect(selectors.length).toBeGreaterThan(5);
    for (const [, regexp, text = ''] of selectors)
      for (const name of regexp === '~' ? text.split('|') : [text]) {
        const pattern = regexp === '~' ? new RegExp(`^(?:${name})$`) : null;
        const matched = streams.filter((stream) => pattern?.test(stream) ?? stream === name);
        expect(matched, `stream ${name}`).not.toEqual([]);
      }
  });

  it('are each tried', () => {
    const text = readFileSync(TESTS, 'utf8');
    expect(rules.map(({ alert }) => alert).filter((name) => !text.includes(`alertname: ${name}\n`))).toEqual(
      [],
    );
  });

  it('hold what promtool checks, and fire when they should', async (context) => {
    const found = await debianProgram('promtool', 'prometheus');
    if ('reason' in found) return context.skip(found.reason);
    const checked = await run(found.program, ['check', 'rules', RULES]);
    expect(checked.stdout + checked.stderr).toContain(`SUCCESS: ${rules.length} rules found`);
    const directory = mkdtempSync(join(tmpdir(), 'millrace-rules-'));
    try {
      copyFileSync(RULES, join(directory, 'millrace.rules.yaml'));
      copyFileSync(TESTS, join(directory, 'test.yaml'));
      const tested = await run(found.program, ['test', 'rules', 'test.yaml'], { cwd: directory });
      expect(`${tested.stdout}${tested.stderr}`).toMatch(/^Unit Testing: {2}test\.yaml\n {2}SUCCESS\s*$/);
      expect(tested.code).toBe(0);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
