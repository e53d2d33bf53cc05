import type { Model, Project } from '../schemas/project.ts';
import type { ColumnKind, TileSet, View } from '../schemas/view.ts';
import { describeArrival, remarksOf } from './check-source.ts';
import { formatDuration } from './durations.ts';
import { labelWarnings } from './label-warnings.ts';
import { MAX_TILES, WARN_TILES } from './tiles.ts';

/** What `millrace check` says of a project that loads: what its declarations cost and how exact they are. */
export interface ProjectDescription {
  readonly name: string;
  readonly prefix: string;
  readonly hash: string;
  readonly sources: ReadonlyArray<{
    readonly name: string;
    readonly partitions: number;
    readonly fields: number;
    readonly events: readonly string[];
    /** Silence after which views no longer wait for a partition. */
    readonly idleAfter: string;
    /** What recognising repeats costs: memory over all partitions, and events read back at a start, both at most. Null where it is not declared. */
    readonly deduplicate: {
      readonly within: string;
      readonly atMost: number;
      readonly bytes: number;
      readonly readBack: number;
    } | null;
  }>;
  readonly views: readonly ViewDescription[];
  readonly models: ReadonlyArray<{
    readonly name: string;
    readonly features: number;
    readonly reads: number;
    readonly layoutHash: string;
  }>;
  /** Records that one flush of ingest can cost at most: view partitions over all views. */
  readonly recordsPerFlush: number;
  readonly warnings: readonly string[];
  /** What is right, and worth knowing: what holds where nothing is declared, and what declarations cost. */
  readonly remarks: readonly string[];
}

export interface ViewDescription {
  readonly id: string;
  readonly entity: readonly string[];
  readonly partitions: number;
  readonly features: number;
  readonly windows: ReadonlyArray<{
    readonly set: TileSet['kind'];
    readonly length: string;
    readonly hop: string;
    /** How much longer than declared the window can be at its old edge, in percent of its length. */
    readonly edgePercent: number;
  }>;
  readonly worstTiles: number;
  /** Upper estimate for one entity in the online store, bytes. */
  readonly worstBytes: number;
  /** How far behind a model may be and still find its features, and what is kept for it at most, bytes over all partitions. */
  readonly hold: { readonly time: string; readonly bytes: number };
}

/** Bytes that a value of a column takes in a busy tile, as variable-length integers; an upper estimate. */
const COLUMN_BYTES: Readonly<Record<ColumnKind, number>> = {
  count: 2,
  sum: 4,
  square_high: 4,
  square_low: 4,
  square: 5,
  min: 3,
  max: 3,
  last_time: 4,
  last_value: 3,
};
const TILE_BYTES = 3;
/** A DDSketch of a busy tile: bins of two bytes; values over nine decades at 1 % need about 1,000. */
const DDSKETCH_BYTES = 2_000;

function bytesOf(set: TileSet): number {
  let tile = TILE_BYTES;
  for (const column of set.columns) tile += COLUMN_BYTES[column.kind];
  for (const sketch of set.sketches) tile += sketch.kind === 'hll' ? 2 ** sketch.precision : DDSKETCH_BYTES;
  return tile * set.worstTiles;
}

function describeView(view: View): ViewDescription {
  return {
    id: view.id,
    entity: view.entity,
    partitions: view.partitions,
    features: view.features.length,
    windows: view.sets.flatMap((set) =>
      set.windows.map(({ length, hop }) => ({
        set: set.kind,
        length: formatDuration(length),
        hop: formatDuration(hop),
        edgePercent: Math.round(((hop - set.resolution) / length) * 1000) / 10,
      })),
    ),
    hold: { time: formatDuration(view.hold.time), bytes: view.hold.bytes * view.partitions },
    worstTiles: view.sets.reduce((total, set) => total + set.worstTiles, 0),
    worstBytes: view.sets.reduce((total, set) => total + bytesOf(set), 0),
  };
}

/** Reads whose key a request may lack, which is then refused: a person who did not mean that should know. */
function maybeKeyless(project: Project, { name, request, reads }: Model): string[] {
  const source = project.sources.find((one) => one.name === request.source);
  const event = source?.events.find((one) => one.name === request.eventType);
  const sure = new Set(['id', 'type', 'time', ...(event?.required ?? [])]);
  return reads.flatMap((read) => {
    if (read.optional) return [];
    const maybe = read.key.filter((field) => !sure.has(field) && !Object.hasOwn(read.defaults, field));
    if (maybe.length === 0) return [];
    const fields = maybe.map((field) => `'${field}'`).join(' and ');
    return [
      `A ${request.eventType} without ${fields} is refused by ${name} (missing_key): the read '${read.name}' needs it. Make the field required, or declare 'optional: true' or 'defaults:' of the read.`,
    ];
  });
}

export function describeProject(project: Project): ProjectDescription {
  const views = project.views.map(describeView);
  const warnings = views
    .filter((view) => view.worstTiles > WARN_TILES)
    .map(
      (view) =>
        `An entity of ${view.id} can have ${view.worstTiles.toLocaleString('en')} tiles (more than ${WARN_TILES.toLocaleString('en')}; at ${MAX_TILES.toLocaleString('en')} the view is refused): a coarser resolution or less slack makes reads cheaper.`,
    );
  const read = new Set(project.models.flatMap((model) => model.reads.map((one) => one.view)));
  for (const view of project.views)
    if (!read.has(view.name))
      warnings.push(`No model reads the view ${view.id}: it costs time and memory for look-ups alone.`);
  const remarks: string[] = [];
  for (const { name, reads, monitoring } of project.models) {
    const keys = new Set(reads.flatMap(({ key }) => key));
    for (const { name: slice, by, atMost } of monitoring.slices)
      if (keys.has(by))
        remarks.push(
          `The slice ${slice} of the model ${name} is by '${by}', which is the key of an entity and may have any number of values: the ${atMost.toLocaleString('en')} largest of a window are judged by themselves (at_most), the rest together as ${slice}=other.`,
        );
  }
  for (const model of project.models) warnings.push(...maybeKeyless(project, model));
  warnings.push(...labelWarnings(project));
  return {
    name: project.name,
    prefix: project.prefix,
    hash: project.hash,
    sources: project.sources.map((source) => ({
      name: source.name,
      partitions: source.partitions,
      fields: source.fields.length,
      events: source.events.map((event) => event.name),
      ...describeArrival(source),
    })),
    views,
    models: project.models.map((model) => ({
      name: model.name,
      features: model.features.length,
      reads: model.reads.length,
      layoutHash: model.layoutHash,
    })),
    recordsPerFlush: project.views.reduce((total, view) => total + view.partitions, 0),
    warnings,
    remarks: [...project.sources.flatMap((source) => remarksOf(source, project.prefix)), ...remarks],
  };
}
