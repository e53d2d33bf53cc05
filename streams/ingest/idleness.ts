import { fallenIdle, woken } from '../../processors/lateness.ts';
import type { IngestContext } from './context.ts';
import { commit, flushMarkers, restartMoved } from './flush.ts';
import type { Neighbour } from './neighbours.ts';
import type { RawPartition } from './raw-partition.ts';

/** How often an idle neighbour with unread records is looked at again, ms. */
const LOOK_EVERY_MS = 20;
/** How often the broker's clock is asked for at most while somebody may read, and while nothing happens at all, ms. */
const ASK_CLOCK_MS = 250;
const ASK_CLOCK_QUIET_MS = 10_000;

/**
 * Tells every view partition that these partitions are awake, and then the store. So whoever finds one awake in the
 * store knows that its views wait for it.
 */
export async function wake(context: IngestContext, partitions: readonly RawPartition[]): Promise<void> {
  if (partitions.length === 0) return;
  const now = context.clock.now();
  const next = new Map(partitions.map((one) => [one, woken(one.progress, now)] as const));
  for (const [one, progress] of next) {
    one.toldIdle = false;
    one.progress = progress;
  }
  if (!context.guards.wakeFirst) return;
  context.telemetry.guarded('wakeFirst');
  const sections = context.announcer.markers(partitions);
  await commit(context, sections, [context.announcer.blocks(sections)], next);
}

/**
 * Lets partitions fall idle that have had nothing for their time. First the broker is asked, after that silence, whether
 * anything is unread (what an older fetch said proves nothing: the process may have been paused since). Then the store is told, so
 * that nobody passes over what comes from now on, and the broker is asked again; only then the views hear of it.
 */
export async function fallIdle(context: IngestContext, quiet: readonly RawPartition[]): Promise<void> {
  const { clock, consumer } = context;
  const now = clock.now();
  const due = quiet.filter(
    ({ progress, lastRecordAt, idleAfterMs }) =>
      !progress.idle && !progress.clockOpen && now - lastRecordAt >= idleAfterMs,
  );
  if (due.length > 0) {
    const ends = await consumer.atEnd(due);
    const next = new Map(
      due.flatMap((one, i) => {
        const end = ends[i] ?? null;
        if (end === null || one.queue.size > 0) return [];
        return [[one, fallenIdle({ ...one.progress, next: end }, now)] as const];
      }),
    );
    await commit(context, new Map(), [], next);
  }
  await tellIdle(
    context,
    quiet.filter(({ progress, toldIdle }) => progress.idle && !toldIdle),
  );
}

/** Idle partitions are told once the broker says, after the store knew, that none that share their views has anything unread. */
async function tellIdle(context: IngestContext, partitions: readonly RawPartition[]): Promise<void> {
  if (partitions.length === 0 || (await unreadBeside(context, partitions))) return;
  const silent = partitions.filter(({ queue, progress }) => queue.size === 0 && progress.idle);
  if (silent.length === 0) return;
  for (const one of silent) {
    one.toldIdle = true;
    one.announce = true;
  }
  await flushMarkers(context);
}

/**
 * Moves the watermarks of quiet partitions on with the broker's clock: whatever such a partition gets from now on is appended later
 * than anything sent from here, and its events come within outOfOrderness. A statement about the log, true for ever. A source that
 * declares `idleAfter` makes it only after that silence.
 */
export async function moveOn(context: IngestContext, quiet: readonly RawPartition[]): Promise<void> {
  const { announcer, consumer, guards } = context;
  if (!guards.moveOn) return;
  const { brokerTime, clock } = context;
  const now = clock.now();
  const reached = ({ source }: RawPartition) => brokerTime - source.outOfOrderness;
  const due = quiet.filter(
    (one) =>
      one.mayMoveOn(now) &&
      reached(one) > (one.watermark() ?? Number.NEGATIVE_INFINITY) &&
      announcer.passesEdge(one, reached(one)),
  );
  if (due.length === 0) return;
  const ends = await consumer.atEnd(due);
  const silent = due.filter((one, i) => (ends[i] ?? null) !== null && one.queue.size === 0);
  if (silent.length === 0) return;
  if (guards.moveOnAsks && (await unreadBeside(context, silent))) {
    context.telemetry.guarded('moveOnAsks');
    return;
  }
  context.telemetry.guarded('moveOn');
  for (const one of silent) one.settled = Math.max(one.settled ?? Number.NEGATIVE_INFINITY, reached(one));
  await flushMarkers(context);
}

/**
 * Sends a marker to learn the broker's clock, where it has probably passed an edge that the views of quiet partitions have not heard
 * of: others ask for features that those hold back.
 */
export async function askClock(context: IngestContext, quiet: readonly RawPartition[]): Promise<void> {
  const { announcer, clock, guards, neighbours } = context;
  if (!guards.moveOn) return;
  const now = clock.now();
  const about = context.brokerTime + (now - context.brokerTimeAt);
  const due = quiet.filter((one) => {
    const wanted = announcer.hidesNewest(one) || neighbours.active(one.source.name);
    const every = wanted ? ASK_CLOCK_MS : ASK_CLOCK_QUIET_MS;
    if (!one.mayMoveOn(now) || now - one.askedClockAt < every) return false;
    // Before anything was sent nothing is known of the broker's clock.
    return Number.isNaN(about) || announcer.passesEdge(one, about - one.source.outOfOrderness);
  });
  const [first] = due;
  if (first === undefined) return;
  for (const one of due) one.askedClockAt = now;
  const sections = announcer.markers([first]);
  await commit(context, sections, [announcer.blocks(sections)], new Map());
}

/**
 * Waits until no partition that shares views with these sources is idle with records that nobody has worked; wakes our own that
 * are. Without a time limit: such a partition has an owner who wakes it, or soon will have. False where an assignment or the stop
 * came first, or where the store has one of ours otherwise than we believe: what was worked does not hold then.
 */
export async function untilAwake(context: IngestContext, named: ReadonlySet<string>): Promise<boolean> {
  const { clock, consumer, guards, neighbours, signal, telemetry, waits } = context;
  const sources = new Set([...named].filter((source) => !neighbours.alone(source)));
  if (!guards.neighbours || sources.size === 0) return true;
  for (;;) {
    const others = await unreadOf(context, sources);
    if (others === 'moved') return false;
    if (others.length === 0) break;
    telemetry.guarded('neighbours');
    if (consumer.moved() || signal.aborted) return false;
    for (const other of others) waits.note('waking', other.key, () => sentenceOf(other));
    await clock.sleep(LOOK_EVERY_MS);
  }
  waits.endAll('waking');
  return true;
}

/** Whether some partition that shares views with these is idle with unread records, or one of ours has moved. */
async function unreadBeside(context: IngestContext, partitions: readonly RawPartition[]): Promise<boolean> {
  if (!context.guards.neighbours) return false;
  const unread = await unreadOf(context, new Set(partitions.map(({ source }) => source.name)));
  return unread === 'moved' || unread.length > 0;
}

/**
 * Idle neighbours with unread records; our own among them are woken first, and are not idle then. `moved` where the store has one of
 * ours otherwise than we believe: it is begun anew.
 */
async function unreadOf(
  context: IngestContext,
  sources: ReadonlySet<string>,
): Promise<Neighbour[] | 'moved'> {
  const { consumer, neighbours, owned } = context;
  const found = await neighbours.look(sources);
  if (await restartMoved(context, found)) return 'moved';
  const unread = await neighbours.unread(found, consumer);
  const ours = unread.flatMap(({ topic, partition }) => owned.get(`${topic}:${partition}`) ?? []);
  await wake(
    context,
    ours.filter(({ progress }) => progress.idle),
  );
  return unread.filter(({ topic, partition }) => !owned.has(`${topic}:${partition}`));
}

function sentenceOf({ topic, partition }: Neighbour): string {
  return `ingest waits for ${topic} partition ${partition}: it was idle and has records now, and the process that owns it has not begun to read them. Is ingest running for all partitions?`;
}
