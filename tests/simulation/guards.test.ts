import { describe, expect, it } from 'vitest';
import type { Guards } from '../../streams/runtime/guards.ts';
import { type Trouble, type TroubleOptions, trouble, type Verdict } from './trouble.ts';
import { countsOf } from './troubles.ts';

/** Where a rule is needed: the trouble that histories meet, and how many are run without the rule. */
const NEEDED: ReadonlyArray<
  readonly [rule: keyof Guards, streams: TroubleOptions['streams'], kind: Trouble, histories: number]
> = [
  ['cap', 'ingest', 'fast clock', 20],
  ['wakeFirst', 'ingest', 'pause', 100],
  ['neighbours', 'ingest', 'pause', 100],
  ['align', 'ingest', 'outage', 40],
  ['moveOn', 'ingest', 'pause', 60],
  ['hold', 'all', 'stream away', 40],
  ['backlogWaits', 'all', 'outage', 20],
];

/**
 * What `turns`, `pace` and `moveOnAsks` hold back is seen in tests of their own (tests/processors/meta.test.ts,
 * tests/streams/features/hold.test.ts, tests/streams/ingest/move-on.test.ts): hardly any history here is broken without them.
 */
describe('a rule of the data plane switched off breaks histories', () => {
  it.each(NEEDED)('%s, %s, %s', { timeout: 600_000 }, async (rule, streams, kind, histories) => {
    const verdicts: Verdict[] = [];
    for (let seed = 0; seed < histories; seed += 1)
      verdicts.push(await trouble({ seed, streams, trouble: kind, guards: { [rule]: false } }));
    const broken = verdicts.filter((verdict) => verdict.broken.length > 0);
    console.log(
      `without ${rule}: ${broken.length} of ${histories} histories are broken; held back by the others: ${countsOf(verdicts)}`,
    );
    expect(broken.length).toBeGreaterThan(0);
  });
});
