import { type ExpressionNode, UnsupportedExpression } from './expression-node.ts';
import { FUNCTIONS } from './functions.ts';
import { mendOfUnknown } from './nearest.ts';
import { zoneOffset } from './zones.ts';

/** Functions whose last argument is a time zone. */
const ZONED: ReadonlySet<string> = new Set(
  FUNCTIONS.filter(({ signature }) => /^\w+\((double|string), string\)/.test(signature)).map(
    ({ signature }) => signature.slice(0, signature.indexOf('(')),
  ),
);

/** Refuses a call whose time zone is a constant that names none: it would be null for ever. */
export function checkZone(name: string, args: readonly ExpressionNode[]): void {
  const zone = args[1];
  if (zone === undefined || !ZONED.has(name)) return;
  for (const { value, start } of constantsOf(zone))
    if (zoneOffset(value, 0) === null)
      throw new UnsupportedExpression(start, `There is no time zone '${value}'.`, mendOfUnknownZone(value));
}

/** The texts that an expression can come to, as far as they are written out. */
function constantsOf(
  node: ExpressionNode,
): ReadonlyArray<{ readonly value: string; readonly start: number }> {
  if (node.op === 'value' && typeof node.args === 'string') return [{ value: node.args, start: node.start }];
  if (node.op === '?:') return (node.args as readonly ExpressionNode[]).slice(1).flatMap(constantsOf);
  if (node.op === 'call') {
    const [name, args] = node.args as [string, readonly ExpressionNode[]];
    if (name === 'coalesce') return args.flatMap(constantsOf);
  }
  return [];
}

/** The nearest zone, or how zones are written. */
export function mendOfUnknownZone(zone: string): string {
  const mend = mendOfUnknown(zone, Intl.supportedValuesOf('timeZone'));
  return mend.startsWith('Did') ? mend : "Write an IANA name, such as 'Europe/Berlin' or 'UTC'.";
}
