import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError, type LoadOptions, loadProject, type Problem } from '../../config/load.ts';
import type { Project } from '../../schemas/project.ts';

/** A small sound project; a test replaces the files it is about. */
export const FILES: Readonly<Record<string, string>> = {
  'project.yaml': `name: shop
sources:
  - source: orders
    key: order_id
    partitions: 2
    out_of_orderness: 1m
    fields:
      order_id: string
      customer: string
      amount: double
      items: int
      paid: bool
      placed_at: timestamp
      zone: string
    rules:
      - {name: positive, check: amount > 0, message: The amount is not above zero.}
    events:
      order.placed: {required: [order_id, customer]}
      order.returned:
`,
  'views/customer.yaml': `view: customer
entity: [customer]
resolution: 1m
features:
  - {name: orders, aggregation: count, event: order.placed, windows: [1h, 1d]}
  - {name: spent, aggregation: [sum, mean], event: order.placed, of: amount, scale: 100, range: [0, 10000], windows: [1d]}
`,
  'models/returns.yaml': `model: returns
request: order.placed
reads:
  customer:
features:
  - customer.*
  - amount
  - per_item: amount / items
label: {event: order.returned, join: [order_id], check: amount > 0, maturity: 1d}
`,
};

/** Loads a project of these files from a directory of its own, which is removed again. */
export function load(files: Readonly<Record<string, string>>, options: Partial<LoadOptions> = {}): Project {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-config-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, file)), { recursive: true });
      writeFileSync(join(directory, file), text);
    }
    return loadProject(directory, { environment: {}, ...options });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The problems of the sound project with some files replaced. */
export function problems(
  files: Readonly<Record<string, string>>,
  options: Partial<LoadOptions> = {},
): readonly Problem[] {
  try {
    load({ ...FILES, ...files }, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** A file of the sound project with one piece of it replaced, which must be there. */
export function edited(file: string, from: string, to: string): Record<string, string> {
  const text = FILES[file] ?? '';
  if (!text.includes(from)) throw new Error(`${file} does not hold '${from}'`);
  return { [file]: text.replace(from, to) };
}

/** Problems as lines: `file:line:column: message mend`. */
export function lines(found: readonly Problem[]): string[] {
  return found.map((one) => `${one.file}:${one.line}:${one.column}: ${one.message} ${one.mend}`);
}
