import { applyBlock, type RefusedContribution } from '../../processors/apply-block.ts';
import { Folder } from '../../processors/fold.ts';
import { freshMeta, type ViewMeta } from '../../processors/meta.ts';
import { cappedTime } from '../../schemas/event.ts';
import { topics } from '../../schemas/names.ts';
import { floorTo, headOf } from '../../schemas/time.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { type Accepted, Truth } from './truth.ts';
import type { World } from './world.ts';

/** What a history promises of its requests, by the time at which their raw record was appended, epoch ms. */
export interface Expectations {
  readonly payments: number;
  /** Requests that arrive in here meet no trouble: they are answered at their full head at once. */
  readonly calm: readonly [from: number, to: number];
  /** Requests that arrive in here are backlog when they are seen: they are answered at their full head. */
  readonly away: readonly [from: number, to: number];
}

/** A request waits at the gate from when inference has it, which is so long after its raw record was appended. */
const PASSED_ON_MS = 50;

const within = (time: number, [from, to]: readonly [number, number]) => time > from && time < to;

/** The promises that were broken, in sentences; of ingest alone. */
export async function judgeIngest(world: World, expected: Expectations): Promise<string[]> {
  const accepted = await world.accepted();
  const broken = await judgeAccepted(world, accepted, expected);
  const [view] = world.project.views;
  if (view === undefined) throw new Error('the simulated project has a view');
  const tails = await readTails(
    world.broker.kafka(),
    topics.view(world.project.prefix, view.id),
    Number.MAX_SAFE_INTEGER,
  );
  const apart = await spreadOf(world, accepted);
  if (apart > view.slack / 2 + SPREAD_MARGIN_MS) broken.push(`partitions in backlog were ${apart} ms apart`);
  const raw = view.sources.map((source) => topics.raw(world.project.prefix, source));
  const frontiers = tails.map((tail, partition) => {
    const refused: RefusedContribution[] = [];
    const folder = new Folder(view);
    let meta: ViewMeta = freshMeta('', 0, false);
    const times: Array<{ readonly at: number; readonly frontier: number }> = [];
    for (const { value, appendTime } of tail) {
      if (value === null) continue;
      const { sections } = world.codecs.blocks.decode(value);
      meta = applyBlock({ view, topics: raw }, meta, sections, folder, refused);
      times.push({ at: appendTime, frontier: meta.frontier ?? Number.NEGATIVE_INFINITY });
    }
    for (const { code, section, contribution } of refused)
      broken.push(
        `${code} of view partition ${partition}: partition ${section.partition} offset ${contribution.offset}`,
      );
    return times;
  });
  for (const { event, appendTime, arrivedAt } of accepted) {
    if (!within(appendTime, expected.calm)) continue;
    const head = headOf(cappedTime(event.time, arrivedAt), view.readDelay, view.resolution);
    for (const [partition, times] of frontiers.entries()) {
      const reached = times.findLast(({ at }) => at <= appendTime + PASSED_ON_MS + world.model.gate.maxWait);
      if (floorTo(reached?.frontier ?? Number.NEGATIVE_INFINITY, view.resolution) < head)
        broken.push(`${event.id} has no full head in view partition ${partition} without any trouble`);
    }
  }
  return broken;
}

/** The same of all streams: every answer too. */
export async function judgeAnswers(world: World, expected: Expectations): Promise<string[]> {
  const accepted = await world.accepted();
  const broken = await judgeAccepted(world, accepted, expected);
  const letters = await world.deadLetters();
  const { first } = await world.predictions();
  const requests = new Map(accepted.map((one) => [one.event.id, one]));
  if (first.length !== requests.size) broken.push(`answered ${first.length} of ${requests.size}`);
  const truth = new Truth(world, accepted, letters);
  for (const prediction of first) {
    const request = requests.get(prediction.requestId);
    if (request === undefined) continue;
    const { reason, reads, requestId, status } = prediction;
    const backlog = within(request.appendTime, expected.away);
    if (status === 'refused') {
      if (backlog || reason === 'behind') broken.push(`${requestId} refused: ${reason}`);
      continue;
    }
    if (reads.some(({ asOf, head }) => asOf < head)) {
      if (within(request.appendTime, expected.calm))
        broken.push(`${requestId} answered below its full head without any trouble`);
      if (backlog) broken.push(`${requestId} answered below its full head in backlog`);
    }
    const wrong = truth.difference(prediction, request);
    if (wrong !== null) broken.push(wrong);
  }
  return broken;
}

async function judgeAccepted(
  world: World,
  accepted: readonly Accepted[],
  expected: Expectations,
): Promise<string[]> {
  const broken = (await world.deadLetters()).map(
    ({ code, sourcePartition, sourceOffset, writer }) =>
      `${code} of ${writer}: partition ${sourcePartition} offset ${sourceOffset}`,
  );
  const ids = new Set(accepted.map(({ event }) => event.id));
  if (ids.size !== expected.payments) broken.push(`accepted ${ids.size} of ${expected.payments}`);
  return broken;
}

/** Backlog is told with every flush: what others worked meanwhile may be ahead of it. */
const SPREAD_MARGIN_MS = 80_000;
const BACKLOG_AFTER_MS = 3_000;
/** A partition that stands for so long holds nobody. */
const STANDS_AFTER_MS = 9_000;

/** How far, in event time, partitions were worked ahead of one that was in backlog and moved, at the most, ms. */
async function spreadOf(world: World, accepted: readonly Accepted[]): Promise<number> {
  const codec = world.codecs.validated(world.source.name);
  const topic = topics.validated(world.project.prefix, world.source.name);
  const tails = await readTails(world.broker.kafka(), topic, Number.MAX_SAFE_INTEGER);
  const worked = tails
    .flatMap((tail, partition) =>
      tail.flatMap(({ value, appendTime }) =>
        value === null ? [] : [{ ...codec.decode(value), partition, at: appendTime }],
      ),
    )
    .sort((a, b) => a.at - b.at);
  const queues = tails.map((_, partition) =>
    accepted.filter((one) => one.partition === partition).sort((a, b) => a.offset - b.offset),
  );
  const movedAt = tails.map(() => Number.NEGATIVE_INFINITY);
  let fastest = Number.NEGATIVE_INFINITY;
  let most = 0;
  for (const { event, offset, partition, at } of worked) {
    const queue = queues[partition] ?? [];
    while ((queue[0]?.offset ?? Number.POSITIVE_INFINITY) <= offset) queue.shift();
    movedAt[partition] = at;
    fastest = Math.max(fastest, event.time);
    for (const [other, [next]] of queues.entries())
      if (
        next !== undefined &&
        at - next.appendTime > BACKLOG_AFTER_MS &&
        at - (movedAt[other] ?? 0) < STANDS_AFTER_MS
      )
        most = Math.max(most, fastest - next.event.time);
  }
  return most;
}
