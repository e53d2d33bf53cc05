import { z } from 'zod';
import type { EventExpression, Scalar } from '../schemas/event.ts';
import type { EventMapping, Source } from '../schemas/project.ts';
import { parseConfig } from './document.ts';
import { createExpressionCompiler, expressionTypeOf } from './expression.ts';
import { problemsOf } from './issues.ts';
import { mendOfUnknown } from './nearest.ts';
import { ConfigError } from './problems.ts';
import { compileAt, createReporter, inside, placeOf, type Reporter } from './reporter.ts';
import { mappingOf, scopeOf } from './source.ts';
import { jsonMappingSchema } from './source-declaration.ts';
import { expression, name } from './texts.ts';

export const fixSchema = z
  .strictObject({
    fix: name('Name of the fix; it is kept with every letter that came back by it.'),
    json: jsonMappingSchema
      .optional()
      .describe(
        'How the records of these letters become events, where the mapping of the source does not fit them.',
      ),
    where: expression('Which events it changes; the others are judged as they are. Default: all.').optional(),
    set: z
      .record(z.string(), expression('The new value, from the fields of the event as it was read.'))
      .default({})
      .describe('Fields that get another value, by name; `time` and `type` among them.'),
  })
  .describe('A change to dead letters on their way back.');

/** A fix, checked against its source. */
export interface CompiledFix {
  readonly name: string;
  /** Null: records are read as their source reads them. */
  readonly mapping: EventMapping | null;
  /** Null: all. */
  readonly where: EventExpression<boolean> | null;
  readonly set: ReadonlyArray<{ readonly field: string; readonly evaluate: EventExpression }>;
}

/** Reads a fix as somebody wrote it (YAML, or JSON). Throws ConfigError with every problem in it. */
export function compileFix(file: string, text: string, source: Source): CompiledFix {
  const reporter = createReporter();
  const { document, problems } = parseConfig(file, text);
  for (const problem of problems) reporter.add(problem);
  const parsed = fixSchema.safeParse(document.value ?? {});
  if (!parsed.success && problems.length === 0)
    for (const problem of problemsOf(document, fixSchema, parsed.error)) reporter.add(problem);
  const compiled = parsed.success ? compile(parsed.data, source, reporter, placeOf(document)) : null;
  if (compiled === null || reporter.problems.length > 0) throw new ConfigError(reporter.problems);
  return compiled;
}

function compile(
  declaration: z.output<typeof fixSchema>,
  source: Source,
  reporter: Reporter,
  place: ReturnType<typeof placeOf>,
): CompiledFix {
  if (source.format.kind === 'registry')
    reporter.report(
      place,
      `The source '${source.name}' holds records of a team's own schema (format: registry), which Millrace does not write.`,
      'Mend the records where they are made, and send them again under their ids.',
    );
  const compiler = createExpressionCompiler(scopeOf(source.fields));
  const types: Readonly<Record<string, 'string' | 'number' | 'bool'>> = {
    type: 'string',
    time: 'number',
    ...Object.fromEntries(source.fields.map((field) => [field.name, expressionTypeOf(field.type)])),
  };
  const set = Object.entries(declaration.set).flatMap(([field, text]) => {
    const at = inside(place, 'set', field);
    const type = Object.hasOwn(types, field) ? types[field] : undefined;
    if (field === 'id')
      reporter.report(at, 'An event comes back under its own id.', 'Leave `id` out.', { key: true });
    else if (type === undefined)
      reporter.report(
        at,
        `The source '${source.name}' has no field '${field}'.`,
        mendOfUnknown(field, Object.keys(types)),
        { key: true },
      );
    else {
      const compiled = compileAt(reporter, compiler, at, text, type);
      if (compiled !== null) return [{ field, evaluate: compiled.evaluate as EventExpression<Scalar> }];
    }
    return [];
  });
  if (declaration.json === undefined && Object.keys(declaration.set).length === 0)
    reporter.report(place, 'The fix changes nothing.', "Write 'set:' or 'json:'.");
  const where =
    declaration.where === undefined
      ? null
      : compileAt(reporter, compiler, inside(place, 'where'), declaration.where, 'bool');
  return {
    name: declaration.fix,
    mapping:
      declaration.json === undefined
        ? null
        : mappingOf(
            declaration.json,
            source.fields.map((field) => field.name),
          ),
    where: where === null ? null : (where.evaluate as EventExpression<boolean>),
    set,
  };
}
