import { KafkaError } from './errors.ts';

const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;

/** Asks again where Kafka cannot answer for a moment (a new topic without a leader), some three seconds in all. Only for reads. */
export async function askAgain<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof KafkaError) || !error.retriable || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (attempt - 1)));
    }
  }
}
