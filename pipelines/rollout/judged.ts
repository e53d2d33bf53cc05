import type { ModelRegistry } from '../../infrastructure/registry/models.ts';
import {
  type Beside,
  type BesideRows,
  closedBefore,
  closedStretches,
  type RowsDeps,
  shadowArchived,
} from './rows.ts';

export interface RolloutDeps extends RowsDeps {
  readonly registry: ModelRegistry;
}

export interface Judged<S> {
  readonly state: S;
  /** End of the last stretch that it has seen, epoch ms. */
  readonly to: number;
}

/** What was judged already, by registry: closed stretches never change, so a later look goes on where one ended. */
const JUDGED = new WeakMap<ModelRegistry, Map<string, Judged<unknown>>>();

/** Runs a test over all stretches that are closed at an event time. */
export async function judgeStretches<S extends { readonly decided: unknown }>(
  deps: RolloutDeps,
  beside: Beside,
  upTo: number,
  rules: object,
  judge: { start(): S; observe(state: S, rows: BesideRows, to: number): S },
): Promise<Judged<S>> {
  const { model, champion, other, from } = beside;
  const memory = JUDGED.get(deps.registry) ?? new Map<string, Judged<unknown>>();
  JUDGED.set(deps.registry, memory);
  const key = JSON.stringify([model.name, champion, other, from, rules, model.monitoring.labelWait]);
  const closedTo = closedBefore(model, upTo);
  const known = memory.get(key) as Judged<S> | undefined;
  let judged: Judged<S> =
    known !== undefined && known.to <= closedTo ? known : { state: judge.start(), to: from };
  if (judged.state.decided !== null || judged.to >= closedTo) return judged;
  const whole = await shadowArchived(deps, beside, closedTo);
  for await (const { rows, to } of closedStretches(deps, { ...beside, from: judged.to }, upTo)) {
    judged = { state: judge.observe(judged.state, rows, to), to };
    if (judged.state.decided !== null) break;
  }
  if (whole && (known === undefined || known.to < judged.to)) memory.set(key, judged);
  return judged;
}
