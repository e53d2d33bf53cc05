import { type StackProgress, up as startStack } from '../infrastructure/local/stack.ts';
import type { CommandContext } from './command.ts';
import type { Progress } from './progress.ts';

export const stackDirectory = (context: CommandContext) => context.environment.stackDirectory;

const TITLES = {
  kafka: 'Kafka',
  redis: 'Valkey',
  registry: 'schema registry',
  clickhouse: 'ClickHouse',
} as const;

/** Starts the local stack and says how far each service is. */
export async function startLocalStack(context: CommandContext) {
  const { output } = context;
  // The services come up side by side, so one line a service would jump: one line tells all.
  const progress: Progress = output.progress('local stack');
  const state = new Map<string, string>();
  const report = ({ service, phase, detail }: StackProgress) => {
    const words =
      phase === 'ready' || phase === 'reuse' ? '✓' : `${phase}${detail === '' ? '' : ` ${detail}`}`;
    state.set(TITLES[service], words);
    progress.detail([...state].map(([name, text]) => `${name} ${text}`).join(' · '));
  };
  try {
    const addresses = await startStack({ dataDir: stackDirectory(context), signal: context.signal }, report);
    progress.done(addresses.mode === 'compose' ? 'in Docker' : 'native processes');
    return addresses;
  } catch (error) {
    progress.fail();
    throw error;
  }
}
