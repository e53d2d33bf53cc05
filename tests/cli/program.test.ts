import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { candidateSentence } from '../../cli/commands/train.ts';
import { COMMANDS } from '../../cli/commands.ts';
import { createProgram, examplesOf } from '../../cli/program.ts';
import { root } from '../architecture/sources.ts';

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function millrace(...parameters: string[]): Promise<Ended> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  return new Promise((done) => {
    execFile(
      join(root, 'millrace'),
      parameters,
      { env: { ...process.env, MILLRACE_DATA: data, NO_COLOR: '1' } },
      (error, out, err) => done({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });
}

const leaves = (command: Command, path: readonly string[] = []): Array<readonly [string, Command]> =>
  command.commands.length === 0
    ? [[path.join(' '), command]]
    : command.commands.flatMap((child) => leaves(child, [...path, child.name()]));

const noRunner = () => async () => {};

it('every command explains itself with examples', async () => {
  for (const [name, command] of leaves(await createProgram(noRunner, undefined, true))) {
    const parts: string[] = [];
    command.configureOutput({ writeOut: (text) => void parts.push(text) });
    command.outputHelp();
    const help = parts.join('');
    expect(help, name).toContain(`$ millrace ${name.split(' ')[0]}`);
    expect(command.description(), name).not.toBe('');
  }
});

it('an installed package is shown no example that needs a clone', () => {
  const shown = (isClone: boolean) => examplesOf({ isClone }).map(([line]) => line);
  expect(shown(false).join('\n')).not.toMatch(/make|docs\//);
  expect(shown(false)).toContain('millrace init');
  expect(shown(true)).toContain('make demo');
});

it('a trained candidate comes with the command that lets it score, and models has the ls of the other groups', async () => {
  const program = await createProgram(noRunner, 'models');
  const models = program.commands.find((command) => command.name() === 'models');
  expect(models?.commands.map((command) => command.name())).toEqual(
    expect.arrayContaining(['ls', 'promote']),
  );
  expect(candidateSentence('fraud', 2)).toContain("millrace models --model fraud promote 2 --reason '");
});

it('the table of commands says what the commands say of themselves', async () => {
  const term = (command: Command) => [
    command.name(),
    command.registeredArguments.map((one) => [one.name(), one.required, one.variadic]),
    command.description(),
  ];
  const stubs = await createProgram(noRunner);
  const whole = await createProgram(noRunner, undefined, true);
  expect(stubs.commands.map(term)).toEqual(whole.commands.map(term));
  expect(stubs.commands).toHaveLength(COMMANDS.length);
});

it('help is exit code 0, a wrong command is 2 and comes with the nearest name', async () => {
  expect((await millrace('--help')).code).toBe(0);
  const wrong = await millrace('staus');
  expect(wrong.code).toBe(2);
  expect(wrong.err).toContain('Did you mean status?');
  expect((await millrace('down', '--wype')).code).toBe(2);
});

it('a key has a name that can be seen: what it changes is kept under it', async () => {
  for (const name of [' ', ' shop', 'shop ', '']) {
    const { code, err } = await millrace('keys', 'create', name, '--role', 'viewer');
    expect([code, err]).toEqual([2, expect.stringContaining(`'${name}' is no name of a key`)]);
  }
  expect((await millrace('keys', 'create', 'the shop', '--role', 'viewer')).code).toBe(0);
});

it('a program that asks wrongly hears so as JSON too', async () => {
  for (const [parameters, code, message] of [
    [['models', 'show', '--json'], 'missingArgument', "missing required argument 'version'"],
    [['--json', 'models', 'ls', '--nope'], 'unknownOption', "unknown option '--nope'"],
    [['features', '--json'], 'help', 'Name a command: --help lists what there is.'],
  ] as const) {
    const wrong = await millrace(...parameters);
    expect([wrong.code, JSON.parse(wrong.out)]).toEqual([2, { error: { code, message } }]);
  }
});

it.skipIf(!existsSync('/dev/full'))('an output that is full is told in one sentence', async () => {
  const { code, err } = await new Promise<Pick<Ended, 'code' | 'err'>>((done) =>
    execFile('sh', ['-c', `'${join(root, 'millrace')}' status >/dev/full`], (error, _, told) =>
      done({ code: Number(error?.code ?? 0), err: told }),
    ),
  );
  expect([code, err]).toEqual([
    1,
    'error: Standard output cannot be written: ENOSPC: no space left on device, write.\n',
  ]);
});

it('an output that somebody closed early changes no exit code', async () => {
  const command = `'${join(root, 'millrace')}' --json frobnicate`;
  const told = await new Promise((done) => {
    execFile('sh', ['-c', `{ ${command}; echo "ended $?" >&2; } | true`], (_, __, err) => done(err));
  });
  expect(told).toContain('ended 2');
});

it('status of a stack that is not there is a true answer with exit code 1, as JSON too', async () => {
  const { code, out, err } = await millrace('status', '--json');
  expect(code).toBe(1);
  expect(err).toBe('');
  const { services } = JSON.parse(out) as { services: Array<{ state: string }> };
  expect(services.map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped', 'stopped']);
});
