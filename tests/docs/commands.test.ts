import type { Command } from 'commander';
import { CommanderError } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../../cli/program.ts';
import { read } from '../architecture/sources.ts';
import { blocksOf, documents } from './documents.ts';
import { commandLines, inlineCommands } from './shell.ts';

let program: Command;

function silence(command: Command): void {
  command.configureOutput({ writeOut: () => {}, writeErr: () => {} });
  command.commands.forEach(silence);
}

beforeAll(async () => {
  // Every command, whole; none of them does anything.
  program = await createProgram(() => async () => {}, undefined, true);
  silence(program);
});

/** What the program says against a command line; nothing where it would do it. */
async function complaintOf(words: readonly string[]): Promise<string | undefined> {
  try {
    await program.parseAsync(['node', 'millrace', ...words]);
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return undefined;
    return `millrace ${words.join(' ')}: ${error instanceof Error ? error.message : error}`;
  }
}

describe('commands in the documents', () => {
  const blocks = documents().flatMap(blocksOf);
  const lines = blocks
    .filter(({ language }) => ['', 'sh', 'yaml', 'dockerfile'].includes(language))
    .flatMap(({ document, line, text }) =>
      commandLines(text).map((words) => ({ where: `${document}:${line}`, words })),
    );

  it('are found', () => {
    expect(lines.length).toBeGreaterThan(80);
    const guides = new Set(lines.map(({ where }) => where.split(':')[0]));
    for (const name of ['declare', 'deploy', 'drift_alert', 'trainer'])
      expect(guides).toContain(`docs/user_guides/${name}.md`);
  });

  it('exist, with their arguments and options', async () => {
    const wrong: string[] = [];
    for (const { where, words } of lines) {
      const complaint = await complaintOf(words);
      if (complaint !== undefined) wrong.push(`${where} ${complaint}`);
    }
    expect(wrong).toEqual([]);
  });

  it('that are named in a sentence exist, with their options', () => {
    const wrong = documents().flatMap((document) =>
      inlineCommands(read(document)).flatMap((words) => {
        let command: Command = program;
        for (const word of words) {
          const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
          if (next === undefined) break;
          command = next;
        }
        if (command === program && !words[0]?.startsWith('-'))
          return [`${document}: millrace ${words.join(' ')}`];
        const known = new Set([...command.options, ...program.options].map(({ long }) => long));
        const groups = command.parent?.options.map(({ long }) => long) ?? [];
        const unknown = words.filter(
          (word) => /^--[a-z]/.test(word) && word !== '--help' && !known.has(word) && !groups.includes(word),
        );
        return unknown.map((option) => `${document}: millrace ${words.join(' ')}: ${option}`);
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('that do not exist are found', async () => {
    expect(await complaintOf(['checks'])).toContain('checks');
    expect(await complaintOf(['check', '--porject', 'x'])).toContain('--porject');
    expect(await complaintOf(['replay', 'x.jsonl', '--speed', 'fast'])).toContain('fast');
  });
});

describe('targets of make in the documents', () => {
  it('exist', () => {
    const targets = new Set([...read('Makefile').matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
    const named = documents().flatMap((document) => [
      ...[...read(document).matchAll(/`make ([a-z-]+)/g)].map(([, name]) => name),
      ...blocksOf(document).flatMap(({ text }) =>
        [...text.matchAll(/^make ([a-z-]+)/gm)].map(([, name]) => name),
      ),
    ]);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !targets.has(name))).toEqual([]);
  });
});
