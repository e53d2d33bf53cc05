import type { Metric, Registry } from 'prom-client';

/**
 * A histogram with one label for what is told of every request: an observation costs a look-up and two
 * additions, where prom-client's own hashes its labels each time (1 us, some percent of an inference).
 * Counts are made cumulative when they are asked for.
 */
export class HotHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #label: string;
  readonly #buckets: readonly number[];
  /** By label value: one count a bucket, one beyond the last, and the sum of what was observed. */
  readonly #series = new Map<string, Float64Array>();

  constructor(
    registry: Registry,
    options: {
      readonly name: string;
      readonly help: string;
      readonly label: string;
      readonly buckets: readonly number[];
    },
  ) {
    this.name = options.name;
    this.help = options.help;
    this.#label = options.label;
    this.#buckets = options.buckets;
    // The registry asks a metric for its name, help, type and values alone.
    registry.registerMetric(this as unknown as Metric);
  }

  /** `value` of the label must come from a bounded set. */
  observe(value: string, observed: number): void {
    const buckets = this.#buckets;
    let counts = this.#series.get(value);
    if (counts === undefined) {
      counts = new Float64Array(buckets.length + 2);
      this.#series.set(value, counts);
    }
    let at = 0;
    while (at < buckets.length && observed > (buckets[at] as number)) at += 1;
    counts[at] = (counts[at] as number) + 1;
    const sum = buckets.length + 1;
    counts[sum] = (counts[sum] as number) + observed;
  }

  /** What the registry prints. */
  async get() {
    const values = [...this.#series].flatMap(([value, counts]) => {
      const labels = { [this.#label]: value };
      let total = 0;
      const cumulative = [...this.#buckets, '+Inf'].map((le, i) => {
        total += counts[i] ?? 0;
        return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: total };
      });
      return [
        ...cumulative,
        { metricName: `${this.name}_sum`, labels, value: counts[this.#buckets.length + 1] ?? 0 },
        { metricName: `${this.name}_count`, labels, value: total },
      ];
    });
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }

  reset(): void {
    this.#series.clear();
  }
}
