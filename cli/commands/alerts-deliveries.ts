import { type Command, Option } from 'commander';
import { quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import { type CommandContext, examples, type Runner } from '../command.ts';
import { instant } from '../format.ts';
import { wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';

const STATUSES = ['delivered', 'silenced', 'refused'] as const;

interface Options {
  readonly status?: (typeof STATUSES)[number];
  readonly receiver?: string;
  readonly limit: number;
}

interface Row {
  readonly id: string;
  readonly receiver: string;
  readonly alerts: readonly string[];
  readonly status: string;
  readonly tries: number;
  readonly detail: string;
  readonly at: number;
}

/** `deliveries` of `millrace alerts`. */
export function registerDeliveries(group: Command, run: Runner): void {
  group
    .command('deliveries')
    .description('what became of telling the receivers, newest first')
    .addOption(new Option('--status <status>', 'only these').choices(STATUSES))
    .option('--receiver <name>', 'only to this one')
    .option('--limit <n>', 'how many', wholeOption(1), 20)
    .addHelpText(
      'after',
      examples(
        ['millrace alerts deliveries', 'the last twenty'],
        ['millrace alerts deliveries --status refused', 'what nobody took, and why'],
      ),
    )
    .action(run(list));
}

async function list(context: CommandContext, options: Options): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    const rows = await platform.warehouse.query<Row>(
      `SELECT id, receiver, alerts, status, tries, detail, toUnixTimestamp64Milli(at) AS at
       FROM (SELECT * FROM ${quoteName(tables.deliveries(project.prefix))} FINAL
         WHERE ({status:String} = '' OR status = {status:String})
           AND ({receiver:String} = '' OR receiver = {receiver:String})
         ORDER BY at DESC, id LIMIT {limit:UInt32})`,
      { status: options.status ?? '', receiver: options.receiver ?? '', limit: options.limit },
    );
    if (output.isJson)
      return output.json(rows.map((row) => ({ ...row, at: new Date(row.at).toISOString() })));
    if (rows.length === 0) return output.line('Nobody was told of anything.');
    const { green, red, yellow } = output.colours;
    const paint = { delivered: green, silenced: yellow, refused: red } as Readonly<
      Record<string, typeof red>
    >;
    output.table(
      [
        { title: 'at' },
        { title: 'receiver' },
        { title: 'status' },
        { title: 'changes', align: 'right' },
        { title: 'tries', align: 'right' },
        { title: 'delivery' },
        { title: 'detail' },
      ],
      rows.map(({ id, receiver, alerts, status, tries, detail, at }) => [
        instant(at),
        receiver,
        (paint[status] ?? red)(status),
        String(alerts.length),
        String(tries),
        id,
        detail,
      ]),
    );
  } finally {
    await platform.close();
  }
}
