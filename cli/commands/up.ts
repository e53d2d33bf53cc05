import { examples, type Register } from '../command.ts';
import { startLocalStack } from '../stack.ts';
import { printStack } from './status.ts';

export const registerUp: Register = (program, run) => {
  program
    .command('up')
    .description('start the local stack: Kafka, Valkey, a schema registry and ClickHouse, on this machine')
    .addHelpText(
      'after',
      examples(
        ['millrace up', 'in Docker where an engine answers, else as native processes'],
        ['millrace down', 'stop it again; data stays in data/stack'],
      ),
    )
    .action(
      run(async (context) => {
        await startLocalStack(context);
        await printStack(context);
      }),
    );
};
