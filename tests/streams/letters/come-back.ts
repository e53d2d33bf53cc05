import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { compileFix } from '../../../config/fix.ts';
import { ensureTables } from '../../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryArtefacts } from '../../../infrastructure/memory/artefacts.ts';
import { createMemoryStore } from '../../../infrastructure/memory/store.ts';
import { wallClock } from '../../../platform/platform.ts';
import { tables } from '../../../schemas/names.ts';
import type { Project, Source } from '../../../schemas/project.ts';
import { createArchive } from '../../../streams/archive/archive.ts';
import { audit } from '../../../streams/audit/audit.ts';
import { dryRun } from '../../../streams/letters/dry-run.ts';
import type { Effect } from '../../../streams/letters/effect.ts';
import { createFix } from '../../../streams/letters/fix.ts';
import type { Fix } from '../../../streams/letters/letter.ts';
import { lookAtLetters } from '../../../streams/letters/look.ts';
import { type LetterReplay, type LettersDeps, replayLetters } from '../../../streams/letters/replay.ts';
import { SILENT } from '../../../streams/runtime/telemetry.ts';
import { load } from '../../config/project.ts';
import { payment, type Running, runPayments } from '../ingest/payments.ts';

/** Dead letters on their way back, played on twins or on servers. */

const declared = (most: number) => ({
  'project.yaml': `name: payments
sources:
  - source: payments
    key: card
    partitions: 1
    out_of_orderness: 5s
    format: {json: {id: id, type: {constant: payment}, time: {path: at, unit: iso}}}
    fields: {card: string, merchant: string, amount: double}
    rules:
      - {name: small, check: amount < ${most}, message: The amount is too large.}
    events:
      payment: {required: [card]}
`,
  'views/card.yaml': `view: card
entity: [card]
resolution: 1s
features:
  - {name: payments, aggregation: count, windows: [1h]}
`,
});

export function paymentsBelow(most: number, prefix: string): Project {
  return load(declared(most), { prefix });
}

/** A project of payments with its archive; `mend` begins ingest anew with another rule. */
export class Letters {
  readonly prefix = `test-${randomUUID().slice(0, 8)}`;
  readonly warehouse: Warehouse;
  readonly kafka: Kafka;
  readonly store = createMemoryStore();
  project: Project;
  #running: Running | null = null;

  constructor(kafka: Kafka, warehouse: Warehouse) {
    this.kafka = kafka;
    this.warehouse = warehouse;
    this.project = paymentsBelow(100, this.prefix);
  }

  get running(): Running {
    if (this.#running === null) throw new Error('ingest was not begun');
    return this.#running;
  }

  get source(): Source {
    const [source] = this.project.sources;
    if (source === undefined) throw new Error('the project has a source');
    return source;
  }

  async begin(project: Project = this.project): Promise<void> {
    await this.stop();
    await ensureTables(this.warehouse, project);
    this.#running = await runPayments(this.kafka, { project, store: this.store });
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = null;
  }

  /** Ingest and whoever judges letters go by another rule from now on. */
  async mend(most: number): Promise<void> {
    this.project = paymentsBelow(most, this.prefix);
    await this.begin();
  }

  /** Archives until the tables hold so many accepted events and letters of ingest. */
  async archived(records: number): Promise<void> {
    const { kafka, warehouse, project } = this;
    const stopping = new AbortController();
    const { codecs } = this.running;
    const options = { clock: wallClock, telemetry: SILENT, maxWaitMs: 20 };
    const archive = createArchive({ project, kafka, warehouse, codecs, ...options }).run(stopping.signal);
    const counts = `SELECT (SELECT count() FROM ${tables.events(this.prefix, 'payments')} FINAL WHERE import_id = '') +
      (SELECT count() FROM ${tables.deadLetters(this.prefix, 'payments')} FINAL) AS n`;
    try {
      for (const deadline = Date.now() + 30_000; ; await wallClock.sleep(50)) {
        const [row] = await warehouse.query<{ n: number }>(counts);
        if ((row?.n ?? 0) >= records) return;
        if (Date.now() > deadline) throw new Error(`only ${row?.n} of ${records} records were archived`);
      }
    } finally {
      stopping.abort();
      await archive;
    }
  }

  deps(kafka: Kafka = this.kafka): LettersDeps {
    const { project, warehouse, store } = this;
    return { project, kafka, warehouse, store, clock: wallClock, codecs: this.running.codecs };
  }

  fix(text: string): Fix {
    return createFix(this.source, this.prefix, compileFix('fix.yaml', text, this.source));
  }

  /** Outcomes by id of the event, or place of the record. */
  async look(fix: Fix | null = null): Promise<Record<string, string>> {
    const selection = { reason: null, since: null, event: null, limit: 100 };
    const judged = await lookAtLetters({ ...this.deps(), now: Date.now() }, this.source, selection, fix);
    const found = judged.map(({ letter, event, outcome, code }): [string, string] => [
      event?.id ?? `offset ${letter.place.offset}`,
      code === null ? outcome : `${outcome} ${code}`,
    ]);
    // Of several letters of an event the one that has not come back.
    return Object.fromEntries(found.reverse());
  }

  private asked(fix: Fix | null, limit = 100): LetterReplay {
    return {
      source: this.source,
      selection: { reason: null, since: null, event: null, limit },
      fix,
      reason: 'mended',
      who: 'a test',
    };
  }

  async effect(): Promise<Effect | null> {
    const deps = { ...this.deps(), artefacts: createMemoryArtefacts(), now: Date.now() };
    return (await dryRun(deps, [this.asked(null)], true)).effect;
  }

  async replay(
    fix: Fix | null = null,
    kafka: Kafka = this.kafka,
    { limit = 100, ...deps }: Partial<LettersDeps> & { readonly limit?: number } = {},
  ): Promise<{ readonly sent: number; readonly history: number }> {
    const [done] = await replayLetters({ ...this.deps(kafka), ...deps }, [this.asked(fix, limit)]);
    return { sent: done?.sent ?? 0, history: done?.history ?? 0 };
  }

  async acceptedIds(records: number): Promise<string[]> {
    return (await this.running.worked(records)).accepted.map(({ event }) => event.id);
  }
}

/** A rule that was too strict is mended: what it refused comes back, once, or goes into history. */
export async function mendedRule(kafka: Kafka, warehouse: Warehouse): Promise<void> {
  const letters = new Letters(kafka, warehouse);
  await letters.begin();
  const old = new Date(Date.now() - 3_600_000).toISOString();
  await letters.running.send(
    payment('good'),
    payment('large', { amount: 500 }),
    payment('old', { amount: 500, at: old }),
    payment('sent twice', { amount: 500 }),
    payment('sent twice'),
    payment('in cents', { amount: 'none', cents: 1_250 }),
  );
  await letters.running.worked(6);
  await letters.archived(6);
  const refused = 'refused rule_failed';
  expect(await letters.look()).toEqual({
    large: refused,
    old: refused,
    'sent twice': 'repeat',
    'offset 5': 'refused bad_envelope',
  });

  await letters.mend(1_000);
  expect(await letters.look()).toEqual({
    large: 'live',
    old: 'late',
    'sent twice': 'repeat',
    'offset 5': 'refused bad_envelope',
  });
  expect(await letters.effect()).toEqual({
    features: [
      {
        view: 'card',
        entities: 1,
        looked: 1,
        changed: [{ feature: 'payments_1h', entities: 1 }],
        example: { of: 'c1 payments_1h', before: 2, after: 3 },
      },
    ],
    decisions: [],
  });
  expect(await letters.replay()).toEqual({ sent: 1, history: 1 });
  expect(await letters.replay()).toEqual({ sent: 0, history: 0 });
  expect(await letters.acceptedIds(7)).toEqual(['good', 'sent twice', 'large']);

  const fix = letters.fix(`fix: cents
json: {id: id, type: {constant: payment}, time: {path: at, unit: iso}, fields: {amount: cents}}
set: {amount: amount / 100}
where: amount > 100
`);
  expect((await letters.look(fix))['in cents']).toBe('live');
  expect(await letters.replay(fix)).toEqual({ sent: 1, history: 0 });
  const { accepted } = await letters.running.worked(8);
  expect(accepted.at(-1)?.event).toMatchObject({ id: 'in cents', amount: 12.5, card: 'c1' });

  await letters.archived(8);
  const rows = await warehouse.query(
    `SELECT id, import_id FROM ${tables.events(letters.prefix, 'payments')} FINAL ORDER BY id`,
  );
  expect(rows).toEqual([
    { id: 'good', import_id: '' },
    { id: 'in cents', import_id: '' },
    { id: 'large', import_id: '' },
    { id: 'old', import_id: 'dead-letters' },
    { id: 'sent twice', import_id: '' },
  ]);
  const entries = await warehouse.query(
    `SELECT event_id, state, tries, fix, reason, who FROM ${tables.letterReplays(letters.prefix)} FINAL ORDER BY event_id`,
  );
  const by = { tries: 1, fix: '', reason: 'mended', who: 'a test' };
  expect(entries).toEqual([
    { ...by, event_id: 'in cents', state: 'sent', fix: 'cents' },
    { ...by, event_id: 'large', state: 'sent' },
    { ...by, event_id: 'old', state: 'history' },
  ]);
  const { project, running } = letters;
  const { status, skews } = await audit({ project, kafka, warehouse, codecs: running.codecs });
  expect([status, skews]).toEqual(['holds', [{ source: 'payments', late: 1, lateForView: {} }]]);
  await letters.stop();
}
