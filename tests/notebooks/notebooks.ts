/**
 * Executes the notebooks beside running streams: `make test-notebooks`. `UPDATE=1` writes what they show back into them.
 * Not part of `make test`, since their Python packages take more than a minute to install.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { down } from '../../infrastructure/local/stack.ts';
import { root } from '../architecture/sources.ts';
import { must, openStage, python, type Stage } from './stage.ts';

interface Notebook {
  readonly cells: ReadonlyArray<{
    readonly cell_type: string;
    readonly outputs?: ReadonlyArray<{
      readonly data?: Readonly<Record<string, unknown>>;
      readonly text?: unknown;
    }>;
  }>;
}

const began = Date.now();
const say = (text: string) =>
  console.log(`${((Date.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${text}`);

/** Executes one, and says how many pictures it drew; throws where there is none. */
async function execute(stage: Stage, program: string, name: string): Promise<string> {
  const source = join(root, 'notebooks', name);
  const out = join(stage.directory, basename(name));
  const env = { ...process.env, ...stage.environment, OUT: stage.directory };
  await must(program, [join(root, 'tests/notebooks/execute.py'), source, out], env);
  const text = readFileSync(out, 'utf8');
  const { cells } = JSON.parse(text) as Notebook;
  const outputs = cells.flatMap((cell) => cell.outputs ?? []);
  const pictures = outputs.filter(({ data }) => data?.['image/png'] !== undefined).length;
  if (pictures === 0) throw new Error(`${name} drew nothing.`);
  if (process.env.UPDATE === '1') cpSync(out, source);
  say(`${name}: ${cells.length} cells, ${pictures} pictures, ${Math.round(text.length / 1_024)} kB`);
  return JSON.stringify(outputs);
}

function expect(text: string, pattern: RegExp, what: string): void {
  if (!pattern.test(text)) throw new Error(`The notebook does not show ${what} (${pattern}).`);
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-notebooks-'));
let stop = async () => {};
try {
  const program = await python();
  say('Python is installed');
  const stage = await openStage(directory);
  say('the stack is up');
  await stage.millrace('apply');
  await stage.millrace('import', stage.history, '--to', '2026-03-11');
  await stage.millrace('backfill', 'state', '--to', '2026-03-11');
  await stage.millrace('train', '--to', '2026-03-11');
  say('history, state and a first model');
  stop = await stage.streams();
  await stage.millrace('replay', stage.history, '--from', '2026-03-11', '--to', '2026-03-13', '--loop');
  say('two days live');
  expect(await execute(stage, program, 'exploration/events.ipynb'), /rule_failed/, 'what was refused');
  expect(
    await execute(stage, program, 'prototyping/train.ipynb'),
    /2 of fraud is challenger/,
    'version 2 in the shadow',
  );
  await stage.millrace('replay', stage.history, '--from', '2026-03-13', '--loop');
  say('three more days, with another currency on the last');
  const shown = await execute(stage, program, 'analysis/quality.ipynb');
  expect(shown, /amount[^"]*: (?:PSI|A rise)/, 'that amounts drifted');
  expect(shown, /2 {2,}champion/, 'version 2 as the champion');
  say('all three executed, version 2 is the champion');
} finally {
  await stop();
  await down({ dataDir: join(directory, 'stack') });
  rmSync(directory, { recursive: true, force: true });
}
