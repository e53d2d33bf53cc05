import type { Clock } from '../../schemas/clock.ts';
import { asError, MillraceError } from '../../schemas/refusal.ts';
import { Failing, reasonOf } from './failing.ts';
import type { Stream } from './stream.ts';
import { SILENT, type Telemetry } from './telemetry.ts';

/** `restarting`: it failed and begins again by itself; `failed`: it has stopped for good, and a person is needed. */
export type StreamState = 'running' | 'restarting' | 'failed' | 'stopped';

export interface SuperviseOptions {
  /** Default: the clock of the system. */
  readonly clock?: Clock;
  readonly telemetry?: Pick<Telemetry, 'failure' | 'failing'>;
  /** `reason`: why it restarts or has failed, else null. */
  readonly onState?: (stream: string, state: StreamState, reason: string | null) => void;
}

const FIRST_RESTART_MS = 1_000;
const LONGEST_RESTART_MS = 60_000;
/** A stream that works for so long after a restart has got over its failure. */
const STEADY_MS = 10_000;
/** A sleep does not hear the signal to stop. */
const SLICE_MS = 200;

const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
};

/** One stream among those of a process. */
interface Supervised {
  readonly stream: Stream;
  /** It has gone through a round of work. */
  worked: boolean;
  /** The failure it has not got over. */
  failure: Error | null;
}

/**
 * Runs streams side by side until the signal, and drains them. Each is on its own: one that ends with an error (a bug, or a
 * failure that waiting alone does not mend) commits nothing of its batch and begins again from its state, after a second, and
 * ever later up to a minute where it fails in the same way; the others go on. One that says its failure is final stays stopped.
 *
 * Throws the first failure that was not got over by the stop. It does not wait for the signal where no stream is left, or where
 * all of them failed before any had worked: then nothing runs here that could be kept running.
 */
export async function runStreams(
  streams: readonly Stream[],
  signal: AbortSignal,
  options: SuperviseOptions = {},
): Promise<void> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const all: Supervised[] = streams.map((stream) => ({ stream, worked: false, failure: null }));
  const onFailure = () => {
    if (all.every(({ worked, failure }) => failure !== null && !worked)) over.abort();
  };
  await Promise.all(all.map((one) => supervise(one, stop, options, onFailure)));
  const failed = all.find(({ failure }) => failure !== null);
  if (failed !== undefined) throw failed.failure;
}

async function supervise(
  one: Supervised,
  stop: AbortSignal,
  { clock = SYSTEM_CLOCK, telemetry = SILENT, onState = () => {} }: SuperviseOptions,
  onFailure: () => void,
): Promise<void> {
  const { stream } = one;
  const failing = new Failing(stream.name, clock, telemetry);
  do {
    const begun = clock.now();
    const healthy = () => {
      one.worked = true;
      if (one.failure === null || clock.now() - begun < STEADY_MS) return;
      one.failure = null;
      failing.end(false);
      onState(stream.name, 'running', null);
    };
    if (one.failure === null) onState(stream.name, 'running', null);
    let workedNow = false;
    const error = await endOf(stream, stop, () => {
      workedNow = true;
      healthy();
    });
    if (error === null) {
      // It worked again and was drained: what came before is got over.
      if (workedNow) one.failure = null;
      break;
    }
    one.failure = error;
    telemetry.failure(stream.name, error);
    const times = failing.note(error);
    const final = stop.aborted || isFinal(error);
    const pauseMs = final ? null : Math.min(FIRST_RESTART_MS * 2 ** (times - 1), LONGEST_RESTART_MS);
    failing.tell(error, pauseMs);
    onState(stream.name, final ? 'failed' : 'restarting', reasonOf(error));
    onFailure();
    if (pauseMs === null) return;
    await pause(clock, pauseMs, stop);
  } while (!stop.aborted);
  if (one.failure === null) onState(stream.name, 'stopped', null);
  else onState(stream.name, 'failed', reasonOf(one.failure));
}

/** Null after a drained stop, else what it ended with. */
async function endOf(stream: Stream, stop: AbortSignal, healthy: () => void): Promise<Error | null> {
  try {
    await stream.run(stop, healthy);
  } catch (error) {
    return asError(error);
  }
  return stop.aborted ? null : new Error(`The stream ${stream.name} ended although nobody told it to.`);
}

const isFinal = (error: Error) => error instanceof MillraceError && error.final;

async function pause(clock: Clock, ms: number, stop: AbortSignal): Promise<void> {
  for (const until = clock.now() + ms; !stop.aborted && clock.now() < until; )
    await clock.sleep(Math.max(1, Math.min(SLICE_MS, until - clock.now())));
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Opens what streams need before they can begin, waiting for servers that are not there yet. Null where the
 * signal came first. Throws what waiting cannot mend.
 */
export async function untilReady<T>(
  name: string,
  clock: Clock,
  telemetry: Telemetry,
  signal: AbortSignal,
  open: () => Promise<T>,
): Promise<T | null> {
  const failing = new Failing(name, clock, telemetry);
  let pause = FIRST_PAUSE_MS;
  try {
    while (!signal.aborted) {
      try {
        return await open();
      } catch (error) {
        if (!(error instanceof MillraceError) || !error.retriable) throw error;
        telemetry.failure(name, error);
        failing.note(error);
        failing.tell(error, pause);
        await clock.sleep(pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
    return null;
  } finally {
    failing.end();
  }
}
