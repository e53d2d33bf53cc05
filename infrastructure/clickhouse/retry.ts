import { WarehouseError } from './errors.ts';

const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 100;

/**
 * Asks again where the warehouse is away for a moment, some six seconds in all. Only for what a repeat cannot
 * change: reads, and inserts with a token. A kept-alive connection that the server closed while this process
 * was busy looks like a lost answer, so long passes over the archive need it.
 */
export async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof WarehouseError) || !error.retriable || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** (attempt - 1)));
    }
  }
}
