import { SILENT, type Telemetry } from '../../streams/runtime/telemetry.ts';

/** What a stream told of waits and what it refused, in order. */
export interface Told extends Telemetry {
  /** `stream what where: sentence`, or `: over`. */
  readonly waits: string[];
  readonly refusals: string[];
  readonly failures: Error[];
  /** `topic:partition`, once a record that came with its producer's own time. */
  readonly producerStamped: string[];
}

export function listening(): Told {
  const waits: string[] = [];
  const refusals: string[] = [];
  const failures: Error[] = [];
  const producerStamped: string[] = [];
  return {
    ...SILENT,
    waits,
    refusals,
    failures,
    producerStamped,
    producerTimes: (topic, partition, records) =>
      void producerStamped.push(...Array.from({ length: records }, () => `${topic}:${partition}`)),
    waiting: (stream, what, where, sentence) =>
      void waits.push(`${stream} ${what} ${where}: ${sentence ?? 'over'}`),
    refused: (_stream, code, count) => void refusals.push(...Array.from({ length: count }, () => code)),
    failure: (_stream, error) => void failures.push(error),
  };
}
