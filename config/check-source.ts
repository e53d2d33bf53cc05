import { isForeign, rawTopic } from '../schemas/names.ts';
import type { Source } from '../schemas/project.ts';
import { memoryBytes } from '../schemas/remembered.ts';
import { formatDuration } from './durations.ts';
import { idleAfterByDefault } from './source.ts';

const idleAfterOf = ({ idleAfter, outOfOrderness }: Source) =>
  idleAfter ?? idleAfterByDefault(outOfOrderness);

/** How a source takes its events in, and what that costs at most. */
export function describeArrival(source: Source) {
  const { deduplicate, partitions } = source;
  return {
    idleAfter: formatDuration(idleAfterOf(source)),
    deduplicate:
      deduplicate === null
        ? null
        : {
            within: formatDuration(deduplicate.within),
            atMost: deduplicate.atMost,
            bytes: memoryBytes(deduplicate.atMost) * partitions,
            readBack: deduplicate.atMost * partitions,
          },
  };
}

/** What holds where a source declares nothing, and what its declarations cost. */
export function remarksOf(source: Source, prefix: string): string[] {
  const { name, idleAfter, partitions } = source;
  const { idleAfter: silence, deduplicate } = describeArrival(source);
  const count = (n: number) => n.toLocaleString('en');
  return [
    ...(isForeign(prefix, source)
      ? [
          `${name} is read from ${rawTopic(prefix, source)}, which Millrace neither makes nor changes: it must have ${partitions} ${partitions === 1 ? 'partition' : 'partitions'} or more, and keep its records for as long as an outage may take. 'millrace replay' does not write to it.`,
        ]
      : []),
    deduplicate === null
      ? `Nothing recognises an event of ${name} that comes twice: it counts twice, and is answered twice. 'deduplicate: {within: 10m}' refuses repeats of an id.`
      : `An event of ${name} whose id its partition accepted within the last ${deduplicate.within} is refused as a duplicate. A partition remembers ${count(deduplicate.atMost)} ids at most: ${count(Math.round(deduplicate.bytes / 1e6))} MB over its ${count(partitions)} partitions, and a start reads up to ${count(deduplicate.readBack)} accepted events back, which takes up to ${secondsOf(deduplicate.readBack)} s.`,
    idleAfter === null
      ? `A partition of ${name} that is silent for ${silence} (the default: out_of_orderness, at least 1s) is no longer waited for: what it then brings from below the frontier of a view is refused by that view as late_for_view. Where producers write in batches, declare 'idle_after'.`
      : `A partition of ${name} is waited for until it has been silent for ${silence}: so long, at most, live requests read features that are older than they could be.`,
  ];
}

/** At some 200,000 events a second. */
const secondsOf = (events: number) => Math.max(1, Math.round(events / 200_000));
