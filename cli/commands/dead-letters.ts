import { CAME_AT, quoteName } from '../../infrastructure/clickhouse/tables.ts';
import { tables } from '../../schemas/names.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { count, instant } from '../format.ts';
import { wholeOption } from '../options.ts';
import { openPlatform, openProject } from '../project.ts';
import { sourcesOf } from '../sources.ts';
import { registerReplay } from './dead-letters-replay.ts';

interface ShowOptions {
  readonly code?: string;
  readonly limit: number;
}

interface Reason {
  readonly source: string;
  readonly stage: string;
  readonly code: string;
  readonly records: number;
  /** Of them, those that were sent again or put into history. */
  readonly cameBack: number;
  readonly first: number;
  readonly last: number;
}

interface Letter {
  readonly stage: string;
  readonly code: string;
  readonly detail: string;
  readonly writer: string;
  readonly source_topic: string;
  readonly source_partition: number;
  readonly source_offset: number;
  readonly append_time: number;
  readonly event_id: string | null;
  readonly event_time: number | null;
  /** base64 */
  readonly value: string | null;
  /** Of the whole value, where `value` is cut. */
  readonly value_bytes: number | null;
  readonly value_sha256: string | null;
  /** Names and values (base64) of the record's headers. */
  readonly headers: ReadonlyArray<readonly [string, string]>;
}

export const registerDeadLetters: Register = (program, run) => {
  const group = program.command('dead-letters').description('records that were not taken, with the reason');
  group
    .command('ls')
    .argument('[source]', 'one source; default: all')
    .description('counts by reason')
    .addHelpText('after', examples(['millrace dead-letters ls', 'how many of which kind']))
    .action(run(list));
  group
    .command('show')
    .argument('[source]', 'one source; default: all')
    .description('the newest ones, whole')
    .option('--code <reason>', 'only this reason, e.g. late')
    .option('--limit <n>', 'how many', wholeOption(1), 10)
    .addHelpText(
      'after',
      examples(
        ['millrace dead-letters show', 'the last ten'],
        ['millrace dead-letters show --code rule_failed --limit 3', 'three that a rule refused'],
      ),
    )
    .action(run(show));
  registerReplay(group, run);
};

async function list(context: CommandContext, source: string | undefined): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    const reasons: Reason[] = [];
    for (const name of sourcesOf(project, source))
      reasons.push(
        ...(await platform.warehouse.query<Reason>(
          `SELECT {source:String} AS source, stage, code, count() AS records,
             countIf(writer = 'ingest' AND (source_partition, source_offset) IN (
               SELECT source_partition, source_offset FROM ${quoteName(tables.letterReplays(project.prefix))} FINAL
               WHERE source = {source:String} AND state != 'begun')) AS cameBack,
             toUnixTimestamp64Milli(min(${CAME_AT})) AS first, toUnixTimestamp64Milli(max(${CAME_AT})) AS last
           FROM ${quoteName(tables.deadLetters(project.prefix, name))} FINAL
           GROUP BY stage, code ORDER BY records DESC, code`,
          { source: name },
        )),
      );
    if (output.isJson) return output.json(reasons);
    if (reasons.length === 0) return output.line('No record was refused.');
    output.table(
      [
        { title: 'source' },
        { title: 'stage' },
        { title: 'reason' },
        { title: 'records', align: 'right' },
        { title: 'came back', align: 'right' },
        { title: 'first' },
        { title: 'last' },
      ],
      reasons.map(({ source: of, stage, code, records, cameBack, first, last }) => [
        of,
        stage,
        code,
        count(records),
        count(cameBack),
        instant(first),
        instant(last),
      ]),
    );
  } finally {
    await platform.close();
  }
}

async function show(
  context: CommandContext,
  source: string | undefined,
  options: ShowOptions,
): Promise<void> {
  const { output } = context;
  const project = openProject(context);
  const platform = openPlatform(context, project);
  try {
    const letters: Letter[] = [];
    for (const name of sourcesOf(project, source))
      letters.push(
        ...(await platform.warehouse.query<Letter>(
          `SELECT stage, code, detail, writer, source_topic, source_partition, source_offset,
             toUnixTimestamp64Milli(${CAME_AT}) AS append_time, event_id,
             toUnixTimestamp64Milli(event_time) AS event_time, base64Encode(value) AS value,
             value_bytes, value_sha256, arrayMap(h -> (h.1, base64Encode(h.2)), headers) AS headers
           FROM ${quoteName(tables.deadLetters(project.prefix, name))} FINAL
           WHERE {code:String} = '' OR code = {code:String}
           ORDER BY refused_time DESC, source_partition, source_offset DESC LIMIT {limit:UInt32}`,
          { code: options.code ?? '', limit: options.limit },
        )),
      );
    if (output.isJson) return output.json(letters);
    if (letters.length === 0) return output.line('There is none.');
    const { bold, dim } = output.colours;
    for (const letter of letters) {
      output.line(`${bold(letter.code)} ${letter.detail}`);
      const where =
        letter.source_topic === ''
          ? `row ${letter.source_offset} of the import`
          : `${letter.source_topic} partition ${letter.source_partition} offset ${letter.source_offset}`;
      output.line(dim(`  ${letter.stage}, ${where}, ${instant(letter.append_time)}, by ${letter.writer}`));
      if (letter.event_id !== null)
        output.line(
          dim(
            `  event ${letter.event_id}${letter.event_time === null ? '' : ` of ${instant(letter.event_time)}`}`,
          ),
        );
      if (letter.value_bytes !== null)
        output.line(
          dim(`  cut: the raw value has ${count(letter.value_bytes)} bytes, SHA-256 ${letter.value_sha256}`),
        );
      for (const [name, value] of letter.headers)
        output.line(dim(`  header ${name}: ${readable(Buffer.from(value, 'base64'))}`));
      if (letter.value !== null) output.line(`  ${readable(Buffer.from(letter.value, 'base64'))}`);
      output.line();
    }
  } finally {
    await platform.close();
  }
}

/** Text as it is, anything else as hex; cut where it would flood the screen. */
function readable(value: Buffer): string {
  const text = value.toString('utf8');
  const shown = /^[\P{C}\s]*$/u.test(text)
    ? text
    : `${value.length} bytes: ${value.subarray(0, 80).toString('hex')}`;
  return shown.length > 400 ? `${shown.slice(0, 400)}…` : shown;
}
