import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Sender } from '../../../infrastructure/alerting/sender.ts';
import type { Warehouse } from '../../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../../infrastructure/kafka/port.ts';
import { createMemoryBroker } from '../../../infrastructure/memory/broker.ts';
import { createMemoryRegistry } from '../../../infrastructure/memory/registry.ts';
import { isTold } from '../../../models/alerting/deliveries.ts';
import { AlertLog } from '../../../monitoring/alerts/log.ts';
import { createDelivery } from '../../../monitoring/delivery/delivery.ts';
import { groups, topics } from '../../../schemas/names.ts';
import type { Project } from '../../../schemas/project.ts';
import type { Alert } from '../../../schemas/records/alert.ts';
import { topicSpecs } from '../../../streams/apply/apply.ts';
import { openCodecs } from '../../../streams/runtime/codecs.ts';
import { SILENT } from '../../../streams/runtime/telemetry.ts';
import { alert } from '../../infrastructure/alerting/alert.ts';
import { trips, tripsProject } from '../../infrastructure/clickhouse/project.ts';
import { wall } from '../../streams/archive/archived.ts';

const fields = trips.fields.map((field) => ({ ...field, name: field.name.replace(' ', '_') }));
const base = tripsProject({ ...trips, fields });
const project: Project = {
  ...base,
  alerting: {
    ...base.alerting,
    rules: [],
    routes: [{ severities: ['page'], rules: [], receivers: ['ops', 'team'] }],
    groupBy: ['rule'],
  },
  connections: {
    ...base.connections,
    receivers: {
      ops: { kind: 'webhook', url: 'https://ops.example.com', secret: null },
      team: { kind: 'webhook', url: 'https://team.example.com', secret: null },
    },
  },
};
const codecs = await openCodecs(project, createMemoryRegistry());
const topic = topics.alerts(project.prefix);

/** What a receiver answers to its nth request. */
type Answer = 'taken' | 'taken, but the answer is lost' | 'busy';

interface Story {
  /** Sizes of what is appended together, and whether it fires or is resolved. */
  readonly batches: ReadonlyArray<readonly boolean[]>;
  /** After so many steps each process dies. */
  readonly lives: readonly number[];
  readonly answers: readonly Answer[];
}

const stories: fc.Arbitrary<Story> = fc.record({
  batches: fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
  lives: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 5 }),
  answers: fc.array(fc.constantFrom<Answer>('taken', 'taken', 'taken, but the answer is lost', 'busy'), {
    maxLength: 20,
  }),
});

async function tell({ batches, lives, answers }: Story) {
  /** Steps that the process under way has left; then nothing of it happens any more. */
  let left = Number.POSITIVE_INFINITY;
  let die = () => {};
  const step = (): Promise<void> => {
    left -= 1;
    if (left > 0) return Promise.resolve();
    die();
    return new Promise(() => {});
  };

  const broker = createMemoryBroker(wall);
  const outside: Kafka = broker.kafka();
  const admin = await outside.admin();
  await admin.createTopics(topicSpecs(project).filter(({ name }) => name === topic));
  const log = new AlertLog({ kafka: outside, codec: codecs.alerts, prefix: project.prefix });
  let n = 0;
  for (const batch of batches)
    await log.append(
      batch.map((fires) => {
        n += 1;
        return alert(n, { state: fires ? 'firing' : 'resolved', rule: n % 3 === 0 ? 'drifted' : 'worse' });
      }),
    );

  const ended = new Set<string>();
  const warehouse: Pick<Warehouse, 'query' | 'insert'> = {
    async query<Row>(sql: string, parameters?: object) {
      await step();
      const { id, receiver } = (parameters ?? {}) as { id?: string; receiver?: string };
      const known = sql.includes('_deliveries') && ended.has(`${id} ${receiver}`);
      return (known ? [{ id }] : []) as Row[];
    },
    async insert(_, rows) {
      await step();
      for (const { id, receiver } of rows as Array<{ id: string; receiver: string }>)
        ended.add(`${id} ${receiver}`);
      await step();
    },
  };

  /** By receiver: deliveries by id, as one that drops repeats keeps them. */
  const kept = new Map<string, Map<string, string>>([
    ['ops', new Map()],
    ['team', new Map()],
  ]);
  let requests = 0;
  const sender: Sender = {
    async send({ id, receiver, changes }) {
      await step();
      const answer = answers[requests++] ?? 'taken';
      const ids = changes.map((one) => one.id).join(' ');
      const seen = kept.get(receiver);
      if (answer !== 'busy') {
        if (seen?.has(id) && seen.get(id) !== ids) throw new Error('one id for two deliveries');
        seen?.set(id, ids);
      }
      await step();
      return answer === 'taken' ? { kind: 'delivered' } : { kind: 'again', reason: answer, afterMs: null };
    },
  };

  const isDone = async () =>
    (await admin.committed(groups.delivery(project.prefix), topic))[0] ===
    (await admin.offsets(topic))[0]?.end;
  for (let life = 0; !(await isDone()); life++) {
    const kafka = broker.kafka();
    const dead = new Promise<void>((done) => {
      die = () => {
        broker.kill(kafka);
        done();
      };
    });
    left = lives[life] ?? Number.POSITIVE_INFINITY;
    const limits = { firstPauseMs: 1, longestPauseMs: 1, giveUpAfter: 60_000 };
    const stop = new AbortController();
    const run = createDelivery({
      project,
      kafka,
      warehouse,
      codecs,
      clock: wall,
      telemetry: SILENT,
      sender,
      limits,
    })
      .run(stop.signal)
      .catch(() => {});
    let gone = false;
    void dead.then(() => {
      gone = true;
    });
    while (!gone && !(await isDone())) await wall.sleep(2);
    stop.abort();
    if (!gone) await run;
  }
  const taken = (receiver: string) =>
    [...(kept.get(receiver)?.values() ?? [])].flatMap((ids) => ids.split(' ')).sort();
  const told = log.changes().filter(isTold);
  return {
    ops: taken('ops'),
    team: taken('team'),
    told: told.map(({ id }: Alert) => id).sort(),
    ended: ended.size,
  };
}

it('whenever processes die, and whatever receivers answer, each change is taken once', {
  timeout: 60_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      const { ops, team, told } = await tell(story);
      expect(ops).toEqual(told);
      expect(team).toEqual(told);
    }),
    { numRuns: 40, interruptAfterTimeLimit: 40_000 },
  );
});
