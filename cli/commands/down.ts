import { down } from '../../infrastructure/local/stack.ts';
import { examples, type Register } from '../command.ts';
import { stackDirectory } from '../stack.ts';

interface Options {
  readonly wipe?: boolean;
}

export const registerDown: Register = (program, run) => {
  program
    .command('down')
    .description('stop the local stack')
    .option('--wipe', 'delete its data and logs too')
    .addHelpText(
      'after',
      examples(
        ['millrace down', 'stop, keep the data'],
        ['millrace down --wipe', 'stop and start from nothing next time'],
      ),
    )
    .action(
      run(async (context, options: Options) => {
        const dataDir = stackDirectory(context);
        await down({ dataDir, wipe: options.wipe ?? false });
        if (context.output.isJson) context.output.json({ stopped: true, wiped: options.wipe ?? false });
        else
          context.output.line(
            options.wipe ? 'stopped, and its data is gone' : `stopped; its data is in ${dataDir}`,
          );
      }),
    );
};
