import { count, day, duration } from '../../../cli/format.ts';
import type { ReplayReport } from './replay.ts';
import { weeklyLines } from './report.ts';

export function replayLines(report: ReplayReport): readonly string[] {
  const { january, from, to, happened, replayed } = report;
  return [
    `January: ${january.trainer} from ${count(january.rows)} flights of ${day(january.from)} to ${day(january.to - 1)}, version 1 and the first champion.`,
    `Every flight of ${day(from)} to ${day(to - 1)} went through Kafka; scores are those that were answered, January's are of the logged vectors.`,
    ...(replayed === null ? [] : [replayedLine(replayed)]),
    '',
    ...weeklyLines(report),
    '',
    'what the registry and the pipelines say',
    ...happened.map(
      ({ at, kind, version, short, by, sentence }) =>
        `  ${day(at)}  ${version === null ? short : `v${version} ${kind}`}: ${sentence} (${by})`,
    ),
  ];
}

const replayedLine = ({
  events,
  seconds,
  watchedSeconds,
  requests,
  predictions,
  refused,
}: NonNullable<ReplayReport['replayed']>) =>
  `${count(events)} events in ${duration(seconds * 1_000)}, ${duration(watchedSeconds * 1_000)} of them waits for monitoring and pipelines; ${count(requests)} requests, ${count(predictions)} predictions, ${count(refused)} refused.`;
