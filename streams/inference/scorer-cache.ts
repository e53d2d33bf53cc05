import { parseArtefact } from '../../models/artefact.ts';
import { createScorer } from '../../models/scorer.ts';
import { asError, MillraceError } from '../../schemas/refusal.ts';
import type { Telemetry } from '../runtime/telemetry.ts';
import type { ScoringModel } from './predict.ts';

/** A version that the registry names and that cannot score. */
export class UnusableVersion extends MillraceError {
  readonly code = 'unusable_version';
  readonly retriable = false;
}

interface ScorerCacheDeps {
  readonly model: string;
  /** Bytes of an artefact, verified against its address. */
  readonly artefacts: { get(sha256: string): Promise<Uint8Array> };
  readonly telemetry: Pick<Telemetry, 'failure'>;
}

interface Failure {
  readonly retriable: boolean;
  /** The version counts as failed until it may be tried again. */
  holds: boolean;
}

/** Scorers by version. What could not be loaded is remembered, so that it is told once. */
export class ScorerCache {
  readonly #deps: ScorerCacheDeps;
  readonly #scorers = new Map<number, ScoringModel>();
  readonly #failures = new Map<number, Failure>();

  constructor(deps: ScorerCacheDeps) {
    this.#deps = deps;
  }

  get(version: number): ScoringModel | null {
    return this.#scorers.get(version) ?? null;
  }

  failed(version: number): boolean {
    return this.#failures.get(version)?.holds === true;
  }

  /** Whether a version failed whose artefact may still come. */
  get mayTryAgain(): boolean {
    return [...this.#failures.values()].some(({ retriable, holds }) => retriable && holds);
  }

  /** Lets versions be tried again whose artefact may have come. */
  retry(): void {
    for (const failure of this.#failures.values()) if (failure.retriable) failure.holds = false;
  }

  /** Drops all other versions. */
  retain(versions: ReadonlySet<number>): void {
    for (const version of this.#scorers.keys()) if (!versions.has(version)) this.#scorers.delete(version);
  }

  /** Fetches and parses a version's artefact. A failure is told and remembered, not thrown. */
  async load(version: number, artefact: string): Promise<void> {
    const { artefacts, model, telemetry } = this.#deps;
    try {
      const scorer = createScorer(parseArtefact(await artefacts.get(artefact), artefact));
      this.#scorers.set(version, {
        version,
        artefact,
        layoutHash: scorer.layoutHash,
        threshold: scorer.threshold,
        score: (vector) => scorer.score(vector),
      });
      this.#failures.delete(version);
    } catch (thrown) {
      const cause = asError(thrown);
      if (!this.#failures.has(version))
        telemetry.failure(`inference ${model}`, passedOver(model, version, cause));
      const retriable = cause instanceof MillraceError && cause.retriable;
      this.#failures.set(version, { retriable, holds: true });
    }
  }
}

const passedOver = (model: string, version: number, cause: Error) =>
  new UnusableVersion(`Version ${version} of ${model} is passed over: ${cause.message}`, { cause });
