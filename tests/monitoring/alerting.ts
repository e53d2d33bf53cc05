import { ensureTables } from '../../infrastructure/clickhouse/ensure-tables.ts';
import type { Warehouse } from '../../infrastructure/clickhouse/port.ts';
import type { Kafka } from '../../infrastructure/kafka/port.ts';
import { createMemoryRegistry } from '../../infrastructure/memory/registry.ts';
import { AlertLog } from '../../monitoring/alerts/log.ts';
import { createDelivery, type DeliveryDeps } from '../../monitoring/delivery/delivery.ts';
import type { AlertRoute, AlertRule, Receiver } from '../../schemas/alert.ts';
import type { Measure } from '../../schemas/monitoring.ts';
import { tables, topics } from '../../schemas/names.ts';
import type { Project } from '../../schemas/project.ts';
import type { Alert } from '../../schemas/records/alert.ts';
import { topicSpecs } from '../../streams/apply/apply.ts';
import { type Codecs, openCodecs } from '../../streams/runtime/codecs.ts';
import { SILENT } from '../../streams/runtime/telemetry.ts';
import { trips, tripsProject } from '../infrastructure/clickhouse/project.ts';
import { rule } from '../models/alerting/fixtures.ts';
import { wall } from '../streams/archive/archived.ts';

/** A project with rules, its topics and its tables. */
export class Alerting {
  readonly project: Project;
  readonly kafka: Kafka;
  readonly warehouse: Warehouse;
  readonly codecs: Codecs;
  readonly failures: string[] = [];

  private constructor(project: Project, kafka: Kafka, warehouse: Warehouse, codecs: Codecs) {
    this.project = project;
    this.kafka = kafka;
    this.warehouse = warehouse;
    this.codecs = codecs;
  }

  static async create(
    kafka: Kafka,
    warehouse: Warehouse,
    options: {
      readonly rules?: readonly AlertRule[];
      readonly routes?: readonly AlertRoute[];
      /** By name; a text is the URL of a webhook. */
      readonly receivers?: Readonly<Record<string, string | Receiver>>;
    } = {},
  ): Promise<Alerting> {
    const fields = trips.fields.map((field) => ({ ...field, name: field.name.replace(' ', '_') }));
    const base = tripsProject({ ...trips, fields });
    const { receivers = {} } = options;
    const project: Project = {
      ...base,
      alerting: {
        ...base.alerting,
        rules: options.rules ?? [rule()],
        routes: options.routes ?? [],
        groupBy: ['rule', 'model'],
      },
      connections: {
        ...base.connections,
        receivers: Object.fromEntries(
          Object.entries(receivers).map(([name, one]) => [
            name,
            typeof one === 'string' ? { kind: 'webhook', url: one, secret: null } : one,
          ]),
        ),
        allowPrivate: Object.values(receivers)
          .map((one) => (typeof one === 'string' ? one : one.url))
          .flatMap((url) => (url === '' ? [] : [new URL(url).host])),
      },
    };
    const admin = await kafka.admin();
    await admin.createTopics(
      topicSpecs(project).filter(({ name }) => name === topics.alerts(project.prefix)),
    );
    await admin.close();
    await ensureTables(warehouse, project);
    return new Alerting(project, kafka, warehouse, await openCodecs(project, createMemoryRegistry()));
  }

  get deps() {
    const { project, kafka, warehouse, codecs } = this;
    return { project, kafka, warehouse, codecs, clock: wall };
  }

  /** What monitoring writes before it judges a tick. */
  async write(measures: readonly Measure[], at: number): Promise<void> {
    const iso = (time: number) => new Date(time).toISOString();
    await this.warehouse.insert(
      tables.measures(this.project.prefix),
      measures.map((one) => ({
        ...one,
        from: iso(one.from),
        to: iso(one.to),
        tick: iso(one.tick),
        at: iso(at),
      })),
      { token: `${at}` },
    );
  }

  async append(alerts: readonly Alert[]): Promise<void> {
    const log = new AlertLog({ kafka: this.kafka, codec: this.codecs.alerts, prefix: this.project.prefix });
    await log.catchUp();
    await log.append(alerts);
    await log.close();
  }

  /** What the topic says, `<id> <state>`. */
  async logged(): Promise<string[]> {
    const log = new AlertLog({ kafka: this.kafka, codec: this.codecs.alerts, prefix: this.project.prefix });
    await log.catchUp();
    return log.changes().map(({ id, state }) => `${id} ${state}`);
  }

  deliver(options: Partial<DeliveryDeps> = {}) {
    const telemetry = {
      ...SILENT,
      failure: (_: string, error: Error) => void this.failures.push(error.message),
    };
    const limits = { firstPauseMs: 5, longestPauseMs: 20, giveUpAfter: 60_000 };
    const stream = createDelivery({ ...this.deps, telemetry, limits, ...options });
    const stop = new AbortController();
    const done = stream.run(stop.signal);
    done.catch(() => {});
    return {
      done,
      stop: async () => {
        stop.abort();
        await done;
      },
    };
  }

  /** Rows of the deliveries, `<receiver> <status> <tries> <ids>`. */
  async deliveries(): Promise<string[]> {
    const rows = await this.warehouse.query<{ line: string }>(
      `SELECT concat(receiver, ' ', status, ' ', toString(tries), ' ', arrayStringConcat(arraySort(alerts), ' ')) AS line
       FROM ${tables.deliveries(this.project.prefix)} FINAL ORDER BY line`,
    );
    return rows.map(({ line }) => line);
  }
}

/** Waits until `check` answers true, or fails after 20 s. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await check()); ) {
    if (Date.now() > deadline) throw new Error(`it did not come to this: ${what}`);
    await wall.sleep(10);
  }
}
