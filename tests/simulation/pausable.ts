import type { Consumer, Kafka } from '../../infrastructure/kafka/port.ts';
import type { OnlineStore } from '../../infrastructure/redis/port.ts';
import type { Clock } from '../../schemas/clock.ts';

/** What SIGSTOP and SIGCONT do to a process: whatever was under way is answered when it goes on, as it was then. */
export class Pause {
  #paused = false;
  #waiting: Array<() => void> = [];
  /** Hears of each operation, before it takes effect and before it is answered: a moment to stop at. */
  onOperation: (name: string, when: 'before' | 'after') => void = () => {};

  get paused(): boolean {
    return this.#paused;
  }

  stop(): void {
    this.#paused = true;
  }

  goOn(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  async gate(): Promise<void> {
    while (this.#paused) await new Promise<void>((go) => this.#waiting.push(go));
  }

  async #around(name: string, answer: () => unknown): Promise<unknown> {
    this.onOperation(name, 'before');
    await this.gate();
    const result = await answer();
    this.onOperation(name, 'after');
    await this.gate();
    return result;
  }

  /** The same functions, stopped before each takes effect and before it is answered. */
  wrap<T extends object>(inner: T): T {
    return new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const answer = () => Reflect.apply(value, target, args) as unknown;
          if (!ASYNC.has(String(name))) return answer();
          return this.#around(String(name), answer);
        };
      },
    });
  }
}

/** Methods of the ports that wait for a server or for time. */
const ASYNC: ReadonlySet<string> = new Set([
  ...(['poll', 'seek', 'commit', 'ends', 'atEnd'] satisfies Array<keyof Consumer>),
  ...(['read'] satisfies Array<keyof OnlineStore>),
  ...(['sleep'] satisfies Array<keyof Clock>),
  'send',
  'offsets',
]);

/** The connection of a process that may be paused. */
export function pausableKafka(inner: Kafka, pause: Pause): Kafka {
  return {
    producer: async () => pause.wrap(await inner.producer()),
    consumer: async (options) => pause.wrap(await inner.consumer(options)),
    reader: async (positions) => pause.wrap(await inner.reader(positions)),
    admin: async () => pause.wrap(await inner.admin()),
    close: () => inner.close(),
  };
}
