import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplayItem } from '../../../streams/replay/items.ts';
import { replay } from '../../../streams/replay/replay.ts';
import { seeded } from '../../simulation/random.ts';
import type { Bench } from './bench.ts';
import { stopInHand } from './hand.ts';
import { SOURCE } from './project.ts';
import { openStage } from './stage.ts';
import type { StreamName } from './streams.ts';
import { Traffic } from './traffic.ts';
import { undisturbed, unequal } from './undisturbed.ts';
import { readOutcome } from './verdict.ts';

export interface ReplayedOptions {
  readonly seed: number;
  /** Of event time. */
  readonly minutes: number;
  /** Killed with work in hand, one after another, spread over the replay. */
  readonly kills: readonly StreamName[];
}

export interface Replayed {
  readonly events: number;
  readonly struck: readonly string[];
  readonly problems: readonly string[];
}

const OUT_OF_ORDERNESS_MS = 5_000;
const CATCH_UP_MS = 120_000;

/** An hour ago, in order of sending. */
function itemsOf(seed: number, minutes: number): ReplayItem[] {
  const forMs = minutes * 60_000;
  const traffic = new Traffic({
    seed,
    perSecond: 60,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    forMs,
    cards: 60,
    merchants: 20,
  });
  const start = Date.now() - 3_600_000 - forMs;
  return traffic.upTo(forMs, start).map(({ at, event }, place) => ({
    place,
    time: start + at,
    key: String(event.card),
    event,
    bytes: null,
  }));
}

/** Replays the same log twice, once on the twins and undisturbed, once on the servers and struck: the same bits must come of it. */
export async function playReplay(bench: Bench, options: ReplayedOptions): Promise<Replayed> {
  const { seed, kills } = options;
  const items = itemsOf(seed, options.minutes);
  const declared = { outOfOrdernessMs: OUT_OF_ORDERNESS_MS, maxWait: '20ms' };
  const wanted = await undisturbed(items, declared);
  const random = seeded(seed);
  const moments = kills.map((_, i) => items.length * ((i + 0.5 + random() * 0.5) / (kills.length + 1)));
  const stage = await openStage(bench, { seed, ...declared, proxied: false });
  const { project, platform, streams, positions } = stage;
  const struck: string[] = [];
  let striking: Promise<void> = Promise.resolve();
  let next = 0;
  try {
    const { kafka, store, clock } = platform;
    const result = await replay(
      { project, kafka, store, clock, codecs: await platform.codecs() },
      {
        name: 'struck',
        source: SOURCE,
        items: inPieces(items, () => striking),
        speed: Number.POSITIVE_INFINITY,
        signal: new AbortController().signal,
        waitLimitMs: CATCH_UP_MS,
        onProgress: ({ sent }) => {
          const name = kills[next];
          if (name === undefined || sent < (moments[next] ?? 0)) return;
          next += 1;
          striking = striking.then(async () => {
            const lag = await stopInHand(streams, name, positions[name]);
            struck.push(`kill ${name} at ${sent} sent, ${lag} records in hand`);
            await streams.kill(name);
            await streams.start(name);
          });
        },
      },
    );
    await striking;
    await stage.caughtUp(CATCH_UP_MS);
    const audited = await stage.audited(CATCH_UP_MS);
    const outcome = await readOutcome(stage);
    const problems = [
      ...(result.complete && next === kills.length ? [] : ['the replay ended before all were killed']),
      ...streams.ended,
      ...unequal(outcome.predictions, wanted),
      ...audited.findings.map((finding) => `audit: ${finding}`),
    ];
    return { events: items.length, struck, problems };
  } finally {
    await striking.catch(() => undefined);
    await stage.close();
  }
}

const PIECE = 100;
/** A piece comes so long after the last while a stream is struck, ms: on a busy machine the log would else be through before the last is. */
const STRUCK_MS = 250;

async function* inPieces(
  items: readonly ReplayItem[],
  striking: () => Promise<void>,
): AsyncGenerator<readonly ReplayItem[]> {
  for (let i = 0; i < items.length; i += PIECE) {
    yield items.slice(i, i + PIECE);
    await Promise.race([striking(), sleep(STRUCK_MS)]);
  }
}
