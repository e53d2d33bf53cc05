import { InvalidArgumentError, Option } from 'commander';
import { openKeyFile, type StoredKey } from '../../api/middleware/keys.ts';
import { ROLES, type Role } from '../../api/roles.ts';
import { parseDuration } from '../../config/durations.ts';
import { floorTo, SECOND } from '../../schemas/time.ts';
import { type CommandContext, examples, type Register } from '../command.ts';
import { UsageError } from '../errors.ts';
import { instant } from '../format.ts';
import { keyFileOf } from '../serve-api.ts';

interface Options {
  readonly keys?: string;
  readonly role: Role;
  readonly lasts?: number;
}

function spanOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms <= 0) throw new InvalidArgumentError('Write a duration: 30d, 12h.');
  return ms;
}

export const registerKeys: Register = (program, run) => {
  const group = program
    .command('keys')
    .description('keys of the HTTP API: who may do what')
    .option('--keys <file>', 'file of keys (default: api-keys.json in the data directory)')
    .addHelpText(
      'after',
      examples(
        ['millrace keys create shop --role producer', 'may send events, and nothing else'],
        ['millrace keys list', 'who has one, and until when'],
        ['millrace keys revoke shop', 'counts no more, within a second'],
      ),
    );
  const own = (options: Options): Options => ({ ...group.opts<Options>(), ...options });
  group
    .command('create')
    .argument('<name>', 'whose it is: stands beside every change made with it')
    .description('make a key; it is shown this once, and only its hash is kept')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .option('--lasts <time>', 'how long it counts: 90d, 12h (default: until it is revoked)', spanOption)
    .addHelpText('after', examples(['millrace keys create mara --role operator --lasts 90d', 'for a person']))
    .action(
      run(async (context: CommandContext, name: string, options: Options) =>
        create(context, name, own(options)),
      ),
    );
  group
    .command('list')
    .description('all keys, those that count no more among them')
    .addHelpText('after', examples(['millrace keys list --json', 'for a program']))
    .action(run(async (context: CommandContext, options: Options) => list(context, own(options))));
  group
    .command('revoke')
    .argument('<key>', 'its id or its name')
    .description('end a key; what it logged in ends with it')
    .addHelpText('after', examples(['millrace keys revoke 3fa90c12ab77', 'one of several of a name']))
    .action(
      run(async (context: CommandContext, which: string, options: Options) =>
        revoke(context, which, own(options)),
      ),
    );
};

const isoOrNull = (time: number | null) => (time === null ? null : new Date(time).toISOString());

/** Without its hash. */
const plain = ({ id, name, role, createdAt, expiresAt, revokedAt }: StoredKey) => ({
  id,
  name,
  role,
  createdAt: isoOrNull(createdAt),
  expiresAt: isoOrNull(expiresAt),
  revokedAt: isoOrNull(revokedAt),
});

function create(context: CommandContext, name: string, { keys, role, lasts }: Options): void {
  const { output } = context;
  if (!/^(?! )[\w.@ -]{1,100}(?<! )$/.test(name))
    throw new UsageError(
      `'${name}' is no name of a key: use letters, digits, _ . @ - and spaces between them, at most 100.`,
    );
  const file = openKeyFile(keyFileOf(context, keys));
  const expiresAt = lasts === undefined ? null : Date.now() + lasts;
  const { key, stored } = file.create({ name, role, expiresAt });
  if (output.isJson) {
    output.json({ ...plain(stored), key });
    return;
  }
  output.line(key);
  output.note(`${role} key of ${name}; it is not shown again. Send it as Authorization: Bearer KEY.`);
}

function list(context: CommandContext, { keys }: Options): void {
  const { output } = context;
  const all = openKeyFile(keyFileOf(context, keys)).all();
  if (output.isJson) {
    output.json(all.map(plain));
    return;
  }
  if (all.length === 0) {
    output.line('There is no key: millrace keys create.');
    return;
  }
  output.table(
    [{ title: 'id' }, { title: 'name' }, { title: 'role' }, { title: 'made' }, { title: 'counts until' }],
    all.map(({ id, name, role, createdAt, expiresAt, revokedAt }) => [
      id,
      name,
      role,
      instant(floorTo(createdAt, SECOND)),
      revokedAt !== null
        ? `revoked ${instant(floorTo(revokedAt, SECOND))}`
        : expiresAt === null
          ? 'it is revoked'
          : instant(floorTo(expiresAt, SECOND)),
    ]),
  );
}

function revoke(context: CommandContext, which: string, { keys }: Options): void {
  const { output } = context;
  const gone = openKeyFile(keyFileOf(context, keys)).revoke(which);
  if (gone.length === 0)
    throw new UsageError(`There is no key '${which}' that counts: millrace keys list shows all.`);
  if (output.isJson) output.json(gone.map(plain));
  else for (const { id, name, role } of gone) output.line(`The ${role} key ${id} of ${name} counts no more.`);
}
