import { Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { labelBound } from '../../../infrastructure/telemetry/bound.ts';
import { createLogger } from '../../../infrastructure/telemetry/logger.ts';
import { createTelemetry } from '../../../infrastructure/telemetry/telemetry.ts';
import { silentLogger, silentTelemetry } from './silent.ts';

function memoryLogger() {
  const lines: Array<Record<string, unknown>> = [];
  const logger = createLogger(
    { process: 'test', level: 'debug' },
    { write: (line) => void lines.push(JSON.parse(line)) },
  );
  return { lines, logger };
}

describe('telemetry', () => {
  it('counts what is refused by reason and tells one line of a burst', async () => {
    const { lines, logger } = memoryLogger();
    const telemetry = createTelemetry({ process: 'ingest', logger, processMetrics: false });
    for (let i = 0; i < 5; i++) telemetry.refused('ingest', 'late', 2);
    expect(await telemetry.metrics()).toContain(
      'millrace_refused_total{stream="ingest",code="late",process="ingest"} 10',
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ event: 'refused', code: 'late', level: 'debug' });
  });

  it('counts records with producer times, and warns once a partition with the command', async () => {
    const { lines, logger } = memoryLogger();
    const telemetry = createTelemetry({ process: 'ingest', logger, processMetrics: false });
    for (let i = 0; i < 5; i++) telemetry.producerTimes('t', 3, 2);
    telemetry.producerTimes('t', 4, 1);
    expect(await telemetry.metrics()).toContain(
      'millrace_producer_times_total{topic="t",partition="3",process="ingest"} 10',
    );
    expect(lines.map(({ level, partition }) => [level, partition])).toEqual([
      ['warn', 3],
      ['warn', 4],
    ]);
    expect(lines[0]?.msg).toContain("'millrace apply' sets message.timestamp.type=LogAppendTime");
  });

  it('counts ids that were forgotten before their time, and warns once a partition with the mend', async () => {
    const { lines, logger } = memoryLogger();
    const telemetry = createTelemetry({ process: 'ingest', logger, processMetrics: false });
    telemetry.remembered('paid', 3, 40, 0);
    expect(lines).toEqual([]);
    for (let i = 0; i < 5; i++) telemetry.remembered('paid', 3, 50, 2);
    const metrics = await telemetry.metrics();
    expect(metrics).toContain('millrace_remembered_ids{source="paid",partition="3",process="ingest"} 50');
    expect(metrics).toContain(
      'millrace_forgotten_ids_total{source="paid",partition="3",process="ingest"} 10',
    );
    expect(lines.map(({ level, partition }) => [level, partition])).toEqual([['warn', 3]]);
    expect(lines[0]?.msg).toContain('Raise deduplicate.at_most');
  });

  it('keeps the series bounded whatever reasons arrive', async () => {
    const telemetry = createTelemetry({ process: 'x', logger: silentLogger, processMetrics: false });
    for (let i = 0; i < 1_000; i++) telemetry.refused('m', `reason ${i}`, 1);
    const series = (await telemetry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('millrace_refused_total{'));
    expect(series).toHaveLength(101);
    expect(series.find((line) => line.includes('"other"'))).toMatch(/ 900$/);
  });

  it('counts ages and scores as prom-client would', async () => {
    const telemetry = createTelemetry({ process: 'x', logger: silentLogger, processMetrics: false });
    const buckets = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1];
    const registry = new Registry();
    registry.setDefaultLabels({ process: 'x' });
    const theirs = new Histogram({
      name: 'millrace_score',
      help: 'Published scores.',
      labelNames: ['model'],
      buckets,
      registers: [registry],
    });
    for (const score of [0, 0.05, 0.051, 0.5, 0.99, 1, 1.5]) {
      telemetry.score('m', score);
      theirs.labels('m').observe(score);
    }
    /** The order of labels means nothing. */
    const lines = (text: string) =>
      text
        .split('\n')
        .filter((line) => line.includes('millrace_score'))
        .map((line) => line.replace(/\{(.*)\}/, (_, labels: string) => labels.split(',').sort().join()))
        .sort();
    expect(lines(await telemetry.metrics())).toEqual(lines(await registry.metrics()));
  });

  it('says what CPU and memory the process takes', async () => {
    const text = await createTelemetry({ process: 'x', logger: silentLogger }).metrics();
    expect(text).toContain('process_cpu_seconds_total');
  });

  it('has a silent twin with every event', () => {
    const real = createTelemetry({ process: 'x', logger: silentLogger, processMetrics: false });
    expect(Object.keys(silentTelemetry).sort()).toEqual(Object.keys(real).sort());
  });
});

describe('labelBound', () => {
  it('knows a value for ever once it let it through', () => {
    const bound = labelBound(2);
    expect(['a', 'b', 'c', 'a', 'c', 'b'].map(bound)).toEqual(['a', 'b', 'other', 'a', 'other', 'b']);
  });
});

describe('logger', () => {
  it('writes one JSON object a line, with the cause of an error', () => {
    const { lines, logger } = memoryLogger();
    logger.error({ error: new Error('outer', { cause: new Error('inner') }) }, 'it broke');
    expect(lines[0]).toMatchObject({ level: 'error', process: 'test', msg: 'it broke' });
    expect(JSON.stringify(lines[0])).toContain('inner');
  });
});
