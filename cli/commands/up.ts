import { keepStack } from '../../infrastructure/local/lease.ts';
import { examples, type Register } from '../command.ts';
import { startLocalStack } from '../stack.ts';
import { printStack } from './status.ts';

export const registerUp: Register = (program, run) => {
  program
    .command('up')
    .description(
      'start the local stack, which all projects of this machine share: Kafka, Valkey, a schema registry, ClickHouse',
    )
    .addHelpText(
      'after',
      examples(
        ['millrace up', 'in Docker where an engine answers, else as native processes'],
        ['millrace down', 'stop it again; its data stays'],
      ),
    )
    .action(
      run(async (context) => {
        await startLocalStack(context);
        keepStack(context.environment.stackDirectory);
        await printStack(context);
      }),
    );
};
