import type { EventRecord } from '../schemas/event.ts';
import type { EventScope, Model, ViewRead } from '../schemas/project.ts';
import type { View } from '../schemas/view.ts';

/** A read of a view, and where its values lie among the stored values of a request. */
export interface StoredRead {
  readonly declared: Pick<ViewRead, 'name'>;
  readonly view: View;
  readonly offset: number;
}

/**
 * Turns the stored values of a request into the model's vector (NaN for null). On-demand expressions see one
 * scope that is made once and looks through to the request at hand.
 */
export function assembler(
  model: Model,
  reads: readonly StoredRead[],
): (stored: Float64Array, event: EventRecord) => Float64Array {
  let stored: Float64Array = new Float64Array(0);
  let current: EventRecord = { id: '', type: '', time: 0 };
  const scope = scopeOf(
    reads,
    () => stored,
    () => current,
  );
  const { features } = model;
  /** Where each feature stands among the stored values; -1 where it is evaluated. */
  const places = Int32Array.from(features, (feature) =>
    feature.kind === 'on_demand' ? -1 : (reads[feature.read]?.offset ?? 0) + feature.feature,
  );
  const evaluated = features.flatMap((feature, at) =>
    feature.kind === 'on_demand' ? [{ at, evaluate: feature.evaluate }] : [],
  );
  return (values, event) => {
    stored = values;
    current = event;
    const vector = new Float64Array(places.length);
    for (let i = 0; i < places.length; i += 1) {
      const place = places[i] as number;
      if (place >= 0) vector[i] = values[place] ?? Number.NaN;
    }
    for (const { at, evaluate } of evaluated) vector[at] = evaluate(scope) ?? Number.NaN;
    return vector;
  };
}

function scopeOf(
  reads: readonly StoredRead[],
  stored: () => Float64Array,
  event: () => EventRecord,
): EventScope {
  const byRead = new Map<string, Readonly<Record<string, number | null>>>();
  for (const { declared, view, offset } of reads) {
    const values: Record<string, number | null> = {};
    for (const [i, feature] of view.features.entries())
      Object.defineProperty(values, feature.name, {
        enumerable: true,
        get: () => {
          const value = stored()[offset + i] ?? Number.NaN;
          return Number.isNaN(value) ? null : value;
        },
      });
    byRead.set(declared.name, values);
  }
  return new Proxy<EventScope>(
    {},
    {
      get: (_, name) => (typeof name === 'string' ? (byRead.get(name) ?? event()[name] ?? null) : undefined),
      has: (_, name) => typeof name === 'string' && (byRead.has(name) || name in event()),
      getOwnPropertyDescriptor: (_, name) =>
        typeof name === 'string'
          ? { configurable: true, enumerable: true, value: byRead.get(name) ?? event()[name] ?? null }
          : undefined,
    },
  );
}
