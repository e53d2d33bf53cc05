/**
 * Limited-memory BFGS for a smooth convex function: Nocedal and Wright, "Numerical Optimization" (2006), algorithm 7.4,
 * with a backtracking line search (Armijo's condition, 3.4).
 */
export interface Minimiser {
  readonly point: Float64Array;
  readonly value: number;
  /** One step downhill; false where there is none left worth taking. */
  step(): Promise<boolean>;
}

/** Writes the gradient at a point, and gives the value there. */
export type Evaluate = (point: Float64Array, gradient: Float64Array) => Promise<number>;

/** Pairs of steps and changes of the gradient that stand in for the curvature. */
const MEMORY = 10;
const ARMIJO = 1e-4;
/** A gradient this small in every direction has arrived. */
const FLAT = 1e-7;

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] as number) * (b[at] as number);
  return sum;
}

export async function createMinimiser(start: Float64Array, evaluate: Evaluate): Promise<Minimiser> {
  let point = Float64Array.from(start);
  let gradient = new Float64Array(start.length);
  let value = await evaluate(point, gradient);
  const steps: { readonly s: Float64Array; readonly y: Float64Array; readonly rho: number }[] = [];

  /** The two loops of algorithm 7.4: minus the gradient, bent by the curvature that the last steps saw. */
  function direction(): Float64Array {
    const d = gradient.map((g) => -g);
    const alphas: number[] = [];
    for (const { s, y, rho } of steps.toReversed()) {
      const alpha = rho * dot(s, d);
      alphas.push(alpha);
      for (let at = 0; at < d.length; at++) d[at] = (d[at] as number) - alpha * (y[at] as number);
    }
    const last = steps.at(-1);
    // Without a memory the first step is as long as 1: nothing is known of the scale yet.
    const scale =
      last === undefined
        ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient)))
        : 1 / (last.rho * dot(last.y, last.y));
    for (let at = 0; at < d.length; at++) d[at] = (d[at] as number) * scale;
    for (const { s, y, rho } of steps) {
      const beta = rho * dot(y, d);
      const alpha = alphas.pop() ?? 0;
      for (let at = 0; at < d.length; at++) d[at] = (d[at] as number) + (alpha - beta) * (s[at] as number);
    }
    return d;
  }

  return {
    get point() {
      return point;
    },
    get value() {
      return value;
    },
    async step() {
      if (gradient.every((g) => Math.abs(g) < FLAT)) return false;
      const d = direction();
      const slope = dot(gradient, d);
      if (!(slope < 0)) return false;
      const next = new Float64Array(point.length);
      const slopes = new Float64Array(point.length);
      for (let length = 1; length > 1e-10; length /= 2) {
        for (let at = 0; at < next.length; at++)
          next[at] = (point[at] as number) + length * (d[at] as number);
        const reached = await evaluate(next, slopes);
        if (!(reached <= value + ARMIJO * length * slope)) continue;
        const s = next.map((x, at) => x - (point[at] as number));
        const y = slopes.map((g, at) => g - (gradient[at] as number));
        const curvature = dot(s, y);
        if (curvature > 1e-12) steps.push({ s, y, rho: 1 / curvature });
        if (steps.length > MEMORY) steps.shift();
        point = next;
        gradient = slopes;
        value = reached;
        return true;
      }
      return false;
    },
  };
}
