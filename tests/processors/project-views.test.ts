import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../config/load.ts';
import { contributionOf, isTooOld } from '../../processors/contribute.ts';
import { asOf } from '../../processors/read.ts';
import { ViewState } from '../../processors/state.ts';
import type { EventRecord, Scalar } from '../../schemas/event.ts';
import type { Contribution } from '../../schemas/records/block.ts';
import { DAY, MINUTE } from '../../schemas/time.ts';
import { type OracleEvent, oracleRead } from '../oracle/naive.ts';
import { dice, expectClose, expectSameBits, logsOf, readLogs } from './harness.ts';

const PROJECTS = ['../../config', '../../docs/examples/payments'].map((path) =>
  loadProject(fileURLToPath(new URL(path, import.meta.url)), { environment: {} }),
);

const UNTIL = Date.UTC(2001, 3, 5, 9, 30);

/** Events of every type of a view's sources, all of one entity, with plausible numbers. */
function eventsOf(project: (typeof PROJECTS)[number], viewName: string, next: () => number): OracleEvent[] {
  const view = project.views.find(({ name }) => name === viewName);
  const events: OracleEvent[] = [];
  for (const source of project.sources) {
    if (view?.sources.includes(source.name) !== true) continue;
    for (let k = 0; k < 600; k += 1) {
      const time = Math.floor(UNTIL + 10 * MINUTE - next() ** 3 * 9 * DAY);
      const type = source.events[Math.floor(next() * source.events.length)]?.name ?? '';
      const fields: Record<string, Scalar> = {};
      for (const { name, type: kind } of source.fields) {
        if (view.entity.includes(name)) fields[name] = kind === 'string' ? 'E' : 1;
        else if (kind === 'string') fields[name] = `v${Math.floor(next() ** 2 * 40)}`;
        else if (kind === 'bool') fields[name] = next() < 0.5;
        else if (kind === 'timestamp')
          fields[name] = time - Math.floor(next() * (view.at?.maxDelay ?? DAY) * 1.1);
        else fields[name] = Math.floor(next() * 320) - 40;
        if (next() < 0.05 && !view.entity.includes(name)) fields[name] = null;
      }
      const event: EventRecord = { ...fields, id: String(k), type, time };
      events.push({ source: source.name, event });
    }
  }
  return events.sort((a, b) => a.event.time - b.event.time);
}

describe.each(PROJECTS.flatMap((project) => project.views.map((view) => ({ name: view.id, project, view }))))(
  '$name',
  ({ project, view }) => {
    it('reads from logs and from memory what the oracle computes', () => {
      const next = dice(view.features.length);
      const events = eventsOf(project, view.name, next);
      const contributions = events.flatMap(({ source, event }, offset): Contribution[] => {
        const made = contributionOf(view, source, event, offset);
        return made === null || isTooOld(view, made) ? [] : [made];
      });
      expect(contributions.length).toBeGreaterThan(50);
      const entity = contributions[0]?.entity ?? '';
      const state = new ViewState(view);
      for (const contribution of contributions) state.apply(contribution);
      const out = new Float64Array(view.features.length);
      let values = 0;
      for (let read = 0; read < 40; read += 1) {
        const time = UNTIL - Math.floor(next() * 60 * MINUTE);
        const frontier = UNTIL - Math.floor(next() * 30 * MINUTE);
        const request = { time, zone: 'America/New_York' };
        const edge = asOf(view, time, frontier);
        const logs = logsOf(view, contributions, next, () => (next() < 0.1 ? edge.asOf : null));
        const got = readLogs(view, logs, request, edge);
        expectClose(view, got, oracleRead(view, events, request, edge), 1e9);
        state.read(entity, request, edge, out, 0);
        expectSameBits(view, [...out], got);
        values += got.filter((value) => !Number.isNaN(value) && value !== 0).length;
      }
      expect(values).toBeGreaterThan(view.features.length * 10);
    });
  },
);
