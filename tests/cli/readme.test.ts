import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../cli/program.ts';
import { loadProject } from '../../config/load.ts';
import { read } from '../architecture/sources.ts';

const readme = read('README.md');

describe('README', () => {
  it('shows a project that checks', () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-readme-'));
    try {
      writeFileSync(join(directory, 'project.yaml'), 'name: payments\n');
      const files = [...readme.matchAll(/```yaml\n# (\S+)\n([\s\S]*?)```/g)];
      expect(files).toHaveLength(5);
      for (const [, file = '', text = ''] of files) {
        mkdirSync(dirname(join(directory, file)), { recursive: true });
        writeFileSync(join(directory, file), text);
      }
      const { models, alerting, pipelines } = loadProject(directory, { environment: {} });
      expect(models[0]?.features.length).toBeGreaterThan(5);
      expect(alerting.rules).toHaveLength(1);
      expect(pipelines[0]?.steps).toHaveLength(6);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('names commands that there are', async () => {
    const program = await createProgram(() => async () => {});
    const known = new Set(program.commands.map((command) => command.name()));
    const named = [...readme.matchAll(/\.\/millrace ([a-z][a-z-]+)/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
