import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, it } from 'vitest';
import type { CommandContext, Runner } from '../../cli/command.ts';
import { addModelsImport } from '../../cli/commands/models-import.ts';
import { root } from '../architecture/sources.ts';

it('models import takes --model and --examples wherever they stand, and needs the examples', async () => {
  const said: string[] = [];
  const context = {
    environment: { dataDirectory: mkdtempSync(join(tmpdir(), 'millrace-cli-')), variables: {} },
    project: join(root, 'config'),
  } as unknown as CommandContext;
  const run: Runner =
    <P extends unknown[]>(action: (context: CommandContext, ...parameters: P) => Promise<void>) =>
    async (...all) => {
      await action(context, ...(all.slice(0, -1) as P)).catch((error: Error) => said.push(error.message));
    };
  const program = new Command('millrace');
  // As the program has it: a group that takes --model itself.
  const group = program.command('models').option('--model <name>');
  addModelsImport(group, run);
  const [own] = group.commands;
  own?.exitOverride().configureOutput({ writeErr: () => {} });
  const call = (...words: string[]) => program.parseAsync(['node', 'x', 'models', 'import', ...words]);

  await call('a.onnx', '--model', 'nobody', '--examples', 'e.jsonl');
  expect(said.pop()).toContain('nobody');
  await call('--examples', 'e.jsonl', 'nowhere.onnx', '--model', 'late_arrival');
  expect(said.pop()).toContain('nowhere.onnx cannot be read');
});

it('models import without examples says so', async () => {
  const group = new Command('models');
  addModelsImport(group, () => async () => {});
  group.commands[0]?.exitOverride().configureOutput({ writeErr: () => {} });
  await expect(group.parseAsync(['node', 'x', 'import', 'a.onnx'])).rejects.toThrow('--examples');
});
