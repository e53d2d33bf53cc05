import { z } from 'zod';
import { openRunLog } from '../../pipelines/pipelines.ts';
import { isOver, type PipelineRun } from '../../pipelines/runs/run.ts';
import { topics } from '../../schemas/names.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { asError } from '../../schemas/refusal.ts';
import type { ApiDeps } from '../deps.ts';
import { type EventSink, EventStream } from '../events.ts';
import { createFeed, type Feed, type ToEvent } from '../feed.ts';
import { modelOf } from '../find.ts';
import { LOOK } from '../roles.ts';
import { type Call, type Route, route } from '../route.ts';
import { nameSchema, wholeQuery } from '../schemas.ts';
import { thinned } from '../thinned.ts';
import { createTopology } from '../topology.ts';
import { plainAlert } from './alerts.ts';
import { plainRun } from './pipelines.ts';

const LOOK_EVERY_MS = 1_000;
const TOPOLOGY_EVERY_MS = 2_000;

const RESUME =
  'Server-sent events. Send the id of the last one as `Last-Event-ID` to read on behind it (a browser does so by itself). A reader that does not keep up is told `dropped` and cut off; it comes back and reads on.';

const answers = [
  { status: 200, description: 'Events until one of both ends.', schema: null, types: ['text/event-stream'] },
];
const problems = { 503: 'As many streams are open as may be, or what feeds them is away.' };

export interface StreamRoutes {
  readonly routes: Route[];
  close(): Promise<void>;
}

export function streamRoutes(deps: ApiDeps): StreamRoutes {
  const { project, kafka, clock, codecs, onFailure } = deps;
  const { prefix } = project;
  const feed = (names: readonly string[], reader: () => ToEvent): Feed =>
    createFeed({ kafka, clock, topics: names, reader, onFailure });
  const alerts = feed([topics.alerts(prefix)], () => alertsOnce(codecs));
  const predictions = new Map(
    project.models.map(({ name }) => [
      name,
      feed([topics.predictions(prefix, name), topics.asked(prefix, name)], () => predictionsOnce(codecs)),
    ]),
  );
  const from = ({ headers }: Pick<Call, 'headers'>) => {
    const id = headers['last-event-id'];
    return typeof id === 'string' ? id : undefined;
  };
  const shared = {
    method: 'GET',
    tag: 'streams',
    access: LOOK,
    answers,
    problems,
    description: RESUME,
  } as const;
  const runs = pipelineFeed(deps);
  const figures = topologyFeed(deps);
  return {
    routes: [
      route({
        ...shared,
        path: '/v1/streams/predictions/{model}',
        name: 'followPredictions',
        summary: 'Predictions of a model as they come, those that were asked over HTTP among them',
        params: z.strictObject({ model: nameSchema }),
        query: z.strictObject({
          most: wholeQuery(1_000)
            .optional()
            .describe(
              'At most so many a second; how many were left out is told as `skipped`. Default: every one.',
            ),
        }),
        handle: async (call) => {
          const { name } = modelOf(project, call.params.model);
          const { most } = call.query;
          return new EventStream(async (sink) => {
            const taking = most === undefined ? sink : thinned(sink, most, clock);
            return (await predictions.get(name)?.subscribe(taking, from(call))) ?? (() => {});
          });
        },
      }),
      route({
        ...shared,
        path: '/v1/streams/alerts',
        name: 'followAlerts',
        summary: 'Changes of alerts as they come',
        handle: async (call) => new EventStream((sink) => alerts.subscribe(sink, from(call))),
      }),
      route({
        ...shared,
        path: '/v1/streams/pipelines',
        name: 'followPipelines',
        summary: 'Runs of pipelines, each time one of their steps changes',
        handle: async (call) => new EventStream(async (sink) => runs.follow(sink, from(call))),
      }),
      route({
        ...shared,
        path: '/v1/streams/topology',
        name: 'followTopology',
        summary: 'Rates and lags, every two seconds',
        handle: async () => new EventStream(async (sink) => figures(sink)),
      }),
    ],
    async close() {
      for (const one of [alerts, ...predictions.values()]) await one.close();
    },
  };
}

/** Of an id the first record counts. */
function alertsOnce(codecs: ApiDeps['codecs']): ToEvent {
  const seen = new Set<string>();
  return ({ value }) => {
    if (value === null) return null;
    const alert = codecs.alerts.decode(value);
    if (seen.has(alert.id)) return null;
    if (seen.size > MOST_SEEN) seen.clear();
    seen.add(alert.id);
    return { event: 'alert', data: plainAlert(alert) };
  };
}

const MOST_SEEN = 10_000;

/** Repeats are told by the source offset, which only rises within a partition. What was asked directly has none. */
function predictionsOnce(codecs: ApiDeps['codecs']): ToEvent {
  const marks = new Map<string, number>();
  return ({ topic, partition, value }) => {
    if (value === null) return null;
    const prediction = codecs.predictions.decode(value);
    const { sourceOffset } = prediction;
    if (sourceOffset >= 0) {
      const place = `${topic}:${partition}`;
      if (sourceOffset <= (marks.get(place) ?? -1)) return null;
      marks.set(place, sourceOffset);
    }
    return { event: 'prediction', data: plainPrediction(prediction) };
  };
}

const plainPrediction = (one: Prediction) => ({
  id: one.id,
  requestId: one.requestId,
  requestTime: one.requestTime,
  status: one.status,
  reason: one.reason,
  modelVersion: one.modelVersion,
  score: one.score,
  decision: one.decision,
  asked: one.sourceOffset < 0,
  // By these a reader that comes back knows what repeats an answer that it had.
  sourcePartition: one.sourcePartition,
  sourceOffset: one.sourceOffset,
  reads: one.reads.map(({ read, entity, asOf, ageMs }) => ({ read, entity, asOf, ageMs })),
});

/** One look at the runs for all readers. The id of an event is when its run changed, so a run may come twice after a resume. */
function pipelineFeed(deps: ApiDeps) {
  const { log } = openRunLog(deps, deps.onFailure);
  const sinks = new Map<EventSink, Map<string, number>>();
  const tell = (sink: EventSink, known: Map<string, number>, run: PipelineRun) => {
    if ((known.get(run.id) ?? 0) >= run.revision) return;
    known.set(run.id, run.revision);
    sink.write({ id: String(run.at), event: 'run', data: plainRun(run) });
  };
  const looking = everyWhile(LOOK_EVERY_MS, deps.onFailure, async () => {
    const all = await log.all();
    for (const [sink, known] of sinks) for (const run of all) tell(sink, known, run);
    return sinks.size > 0;
  });
  return {
    async follow(sink: EventSink, lastId: string | undefined): Promise<() => void> {
      const since = lastId !== undefined && /^\d{1,15}$/.test(lastId) ? Number(lastId) : null;
      const known = new Map<string, number>();
      for (const run of await log.all()) {
        const wanted = since === null ? !isOver(run) : run.at >= since;
        if (wanted) tell(sink, known, run);
        else known.set(run.id, run.revision);
      }
      sinks.set(sink, known);
      looking();
      return () => void sinks.delete(sink);
    },
  };
}

/** The newest figures count, so that there is nothing to resume: a reader that comes back gets them at once. */
function topologyFeed(deps: ApiDeps) {
  const topology = createTopology(deps);
  const sinks = new Set<EventSink>();
  const tell = async (to: Iterable<EventSink>) => {
    const data = await topology();
    for (const sink of to) sink.write({ id: String(data.at), event: 'topology', data });
  };
  const looking = everyWhile(TOPOLOGY_EVERY_MS, deps.onFailure, async () => {
    await tell(sinks);
    return sinks.size > 0;
  });
  return async (sink: EventSink): Promise<() => void> => {
    await tell([sink]);
    sinks.add(sink);
    looking();
    return () => void sinks.delete(sink);
  };
}

/** Looks again and again while `look` answers that somebody listens. Called once more for each that comes. */
function everyWhile(ms: number, onFailure: (error: Error) => void, look: () => Promise<boolean>): () => void {
  let timer: NodeJS.Timeout | undefined;
  const next = () => {
    timer = setTimeout(() => {
      look().then(
        (more) => {
          timer = undefined;
          if (more) next();
        },
        (error: unknown) => {
          onFailure(asError(error));
          next();
        },
      );
    }, ms);
    timer.unref();
  };
  return () => {
    if (timer === undefined) next();
  };
}
