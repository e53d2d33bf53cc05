import { readEvents } from '../../infrastructure/clickhouse/read-events.ts';
import { assembler } from '../../processors/assemble.ts';
import { contributionOf } from '../../processors/contribute.ts';
import { entityKey } from '../../processors/entity-key.ts';
import { cappedTime, type EventRecord } from '../../schemas/event.ts';
import type { Model, Project } from '../../schemas/project.ts';
import type { View } from '../../schemas/view.ts';
import {
  type PastRow,
  type PointInTimeOptions,
  readPointInTime,
  rowOfRequest,
} from '../history/point-in-time.ts';
import { modelReads } from '../inference/vector.ts';
import { type Champion, type ChampionDeps, championOf } from './champion.ts';
import type { Judged } from './judge.ts';
import type { Letter } from './letter.ts';

/** What letters that come back would change in the features of a view, as the next request would read them. */
export interface FeatureEffect {
  readonly view: string;
  /** Entities that they are about; `looked` of them were read. */
  readonly entities: number;
  readonly looked: number;
  /** Features that change, with the number of entities among those. */
  readonly changed: ReadonlyArray<{ readonly feature: string; readonly entities: number }>;
  readonly example: Change | null;
}

/** What they would change for a model. Past answers stay as they are; this says how many would have been other. */
export interface DecisionEffect {
  readonly model: string;
  /** Requests among the letters that would be answered now. */
  readonly asked: number;
  /** Past requests after the first of the events, of the same entities, that were read with the events and without. */
  readonly looked: number;
  /** Those of them with another vector, and with another decision of the champion (null without one). */
  readonly vectors: number;
  readonly decisions: number | null;
  readonly example: Change | null;
}

interface Change {
  /** Entity and feature, or a request. */
  readonly of: string;
  readonly before: number | null;
  readonly after: number | null;
}

export interface Effect {
  readonly features: readonly FeatureEffect[];
  readonly decisions: readonly DecisionEffect[];
}

export interface EffectDeps extends ChampionDeps {
  readonly project: Project;
  /** Wall time, epoch ms. */
  readonly now: number;
}

/** Most entities of a view, and most past requests of a model, that are read. */
const MAX_ENTITIES = 200;
const MAX_REQUESTS = 2_000;

/** Verdicts by source. */
export type Verdicts = ReadonlyMap<string, ReadonlyArray<Judged<Letter>>>;
type Events = ReadonlyMap<string, readonly EventRecord[]>;

/**
 * What would change if letters came back: features of now by those that live accepts, past answers by those and the late ones, which
 * training sees. Both are read from the archive, once with their events and once without. Throws WarehouseError, KafkaError.
 */
export async function effectOf(deps: EffectDeps, verdicts: Verdicts): Promise<Effect> {
  const { project } = deps;
  const live = eventsOf(verdicts, ['live']);
  const entering = eventsOf(verdicts, ['live', 'late']);
  const features: FeatureEffect[] = [];
  for (const view of project.views) {
    const entities = entitiesOf(view, live);
    if (entities.size > 0) features.push(await featureEffect(deps, view, [...entities], live));
  }
  const decisions: DecisionEffect[] = [];
  for (const model of project.models) {
    const effect = await decisionEffect(deps, model, live, entering);
    if (effect !== null) decisions.push(effect);
  }
  return { features, decisions };
}

function eventsOf(verdicts: Verdicts, outcomes: readonly string[]): Events {
  const events = new Map<string, EventRecord[]>();
  for (const [source, judged] of verdicts) {
    const taken = judged.flatMap(({ outcome, event }) =>
      event !== null && outcomes.includes(outcome) ? [event] : [],
    );
    if (taken.length > 0)
      events.set(
        source,
        taken.sort((a, b) => a.time - b.time),
      );
  }
  return events;
}

function entitiesOf(view: View, events: Events): Set<string> {
  const entities = new Set<string>();
  for (const [source, list] of events) {
    if (!view.sources.includes(source)) continue;
    for (const event of list) {
      const contribution = contributionOf(view, source, event, -1);
      if (contribution !== null) entities.add(contribution.entity);
    }
  }
  return entities;
}

type Reading = Pick<PointInTimeOptions, 'project' | 'warehouse' | 'reads' | 'width' | 'rows'>;

/** The values of all rows without extra events, and with them. */
async function readBoth(reading: Reading, extra: Events): Promise<readonly [Float64Array, Float64Array]> {
  const read = async (beside?: Events): Promise<Float64Array> => {
    const all = new Float64Array(reading.rows.length * reading.width);
    await readPointInTime({ ...reading, extra: beside }, (row, values) =>
      all.set(values, row * reading.width),
    );
    return all;
  };
  return [await read(), await read(extra)];
}

const told = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);

async function featureEffect(
  { project, warehouse, now }: EffectDeps,
  view: View,
  entities: readonly string[],
  live: Events,
): Promise<FeatureEffect> {
  const looked = entities.slice(0, MAX_ENTITIES);
  const last = Math.max(now, ...[...live.values()].flat().map(({ time }) => time));
  // The first time at which a request sees all of them.
  const time = last + view.readDelay + view.resolution;
  const rows = looked.map((entity): PastRow => ({ time, entities: [entity], zones: [null] }));
  const width = view.features.length;
  const reading = { project, warehouse, reads: [{ view, offset: 0 }], width, rows };
  const [before, after] = await readBoth(reading, live);
  let example: Change | null = null;
  const changed = view.features.flatMap(({ name }, f) => {
    const others = looked.filter((_, e) => !Object.is(before[e * width + f], after[e * width + f]));
    const [entity] = others;
    if (entity === undefined) return [];
    const at = looked.indexOf(entity) * width + f;
    example ??= { of: `${entity} ${name}`, before: told(before[at]), after: told(after[at]) };
    return [{ feature: name, entities: others.length }];
  });
  return { view: view.name, entities: entities.length, looked: looked.length, changed, example };
}

/** Null where no request is concerned. */
async function decisionEffect(
  deps: EffectDeps,
  model: Model,
  live: Events,
  entering: Events,
): Promise<DecisionEffect | null> {
  const { project, warehouse } = deps;
  const { source, eventType } = model.request;
  const asked = (live.get(source) ?? []).filter(({ type }) => type === eventType).length;
  const { reads, width } = modelReads(project, model);
  const touched = reads.map(({ view }) => entitiesOf(view, entering));
  const requests = await pastRequests(deps, model, entering, (event) =>
    reads.some(({ declared }, r) => touched[r]?.has(entityKey(event, declared.key, declared.defaults) ?? '')),
  );
  if (asked === 0 && requests.length === 0) return null;
  const none = { model: model.name, asked, looked: requests.length, vectors: 0, example: null };
  const champion = await championOf(deps, model);
  if (requests.length === 0) return { ...none, decisions: champion === null ? null : 0 };
  const rows = requests.map(({ event, time }) => rowOfRequest(reads, event, time));
  const [before, after] = await readBoth({ project, warehouse, reads, width, rows }, entering);
  const assemble = assembler(model, reads);
  const vectorsOf = (all: Float64Array) =>
    requests.map(({ event }, i) => assemble(all.subarray(i * width, (i + 1) * width), event));
  return { ...none, ...compared(requests, vectorsOf(before), vectorsOf(after), champion) };
}

interface PastRequest {
  readonly event: EventRecord;
  /** Event time that it read as of, epoch ms. */
  readonly time: number;
}

/** The first past requests after the first of the events that they may concern. */
async function pastRequests(
  { project, warehouse }: EffectDeps,
  { request }: Model,
  entering: Events,
  concerns: (event: EventRecord) => boolean,
): Promise<PastRequest[]> {
  const source = project.sources.find(({ name }) => name === request.source);
  const from = Math.min(...[...entering.values()].flat().map(({ time }) => time));
  const found: PastRequest[] = [];
  if (source === undefined || !Number.isFinite(from)) return found;
  const options = { from, to: null, types: [request.eventType], pageRows: 20_000 };
  for await (const { events, arrivals } of readEvents(warehouse, project, source, options))
    for (const [i, event] of events.entries()) {
      const arrival = arrivals[i] ?? Number.NaN;
      const time = cappedTime(event.time, Number.isNaN(arrival) ? null : arrival);
      if (concerns(event)) found.push({ event, time });
      if (found.length === MAX_REQUESTS) return found;
    }
  return found;
}

function compared(
  requests: readonly PastRequest[],
  before: readonly Float64Array[],
  after: readonly Float64Array[],
  champion: Champion | null,
): Pick<DecisionEffect, 'vectors' | 'decisions' | 'example'> {
  let [vectors, decisions] = [0, 0];
  let example: Change | null = null;
  for (const [i, { event }] of requests.entries()) {
    const [one, other] = [before[i], after[i]];
    if (one === undefined || other === undefined) continue;
    if (one.every((value, f) => Object.is(value, other[f]))) continue;
    vectors += 1;
    if (champion === null) continue;
    const [was, is] = [champion.score(one), champion.score(other)];
    if (was >= champion.threshold === is >= champion.threshold) continue;
    decisions += 1;
    example ??= { of: event.id, before: was, after: is };
  }
  return { vectors, decisions: champion === null ? null : decisions, example };
}
