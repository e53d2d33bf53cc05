import { status } from '../../infrastructure/local/stack.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { FailedResult } from '../errors.ts';
import { stackDirectory } from '../stack.ts';

/** Prints what runs; answers whether all of it is ready. */
export async function printStack(context: CommandContext): Promise<boolean> {
  const { output } = context;
  const stack = await status({ dataDir: stackDirectory(context) });
  if (output.isJson) output.json(stack);
  else
    output.table(
      [{ title: 'service' }, { title: 'state' }, { title: 'address' }, { title: 'process', align: 'right' }],
      stack.services.map(({ name, state, address, pid }) => [
        name,
        output.colours[state === 'ready' ? 'green' : state === 'starting' ? 'yellow' : 'dim'](state),
        address || '-',
        pid === null ? '-' : String(pid),
      ]),
    );
  return stack.services.every(({ state }) => state === 'ready');
}

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .description('what of the local stack runs; exit code 1 unless all of it is ready')
    .addHelpText('after', examples(['millrace status --json', 'addresses for scripts']))
    .action(
      run(async (context) => {
        if (!(await printStack(context))) throw new FailedResult();
      }),
    );
};
