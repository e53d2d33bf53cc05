import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HistoryFile } from '../../infrastructure/readers/port.ts';
import { stretchAt, timelineOf } from '../../infrastructure/registry/history.ts';
import { createModelRegistry } from '../../infrastructure/registry/models.ts';
import { parseArtefact } from '../../models/artefact.ts';
import { createScorer, type Scorer } from '../../models/scorer.ts';
import { promote, registerVersion } from '../../pipelines/rollout/moves.ts';
import { topics } from '../../schemas/names.ts';
import type { Prediction } from '../../schemas/records/prediction.ts';
import { HOUR } from '../../schemas/time.ts';
import { readTails } from '../../streams/runtime/tail.ts';
import { Flights, openFlightsFile } from '../scenarios/flights.ts';
import { artefactFor } from '../simulation/versions.ts';
import { testStack } from '../stack.ts';

const BEGIN = Date.UTC(2001, 2, 23, 12);
const range = { from: BEGIN, to: BEGIN + 6 * HOUR };
const KILLS = 4;

/**
 *   hours after noon   0          1          3          6
 *   version 1          champion ............| guard
 *   version 2                    | challenger| champion
 */
describe('kill -9 of inference between the shadow scores of a batch and its answers', () => {
  let file: HistoryFile;
  let flights: Flights;

  beforeAll(async () => {
    file = await openFlightsFile();
    flights = new Flights(await testStack());
    await flights.createTopics();
  });
  afterAll(() => flights?.remove());

  it('loses and repeats neither', { timeout: 240_000 }, async () => {
    const { model, platform, project } = flights;
    const { kafka } = platform;
    const codecs = await platform.codecs();
    const registry = createModelRegistry({ kafka, codec: codecs.models, prefix: project.prefix });
    const scorers: Scorer[] = [];
    for (const seed of [1, 2]) {
      const { bytes, layout } = artefactFor(model, seed);
      const { sha256, location } = await platform.artefacts.put(bytes);
      scorers.push(createScorer(parseArtefact(bytes, sha256)));
      await registerVersion(
        registry,
        { model: model.name, artefact: sha256, location, layout, as: 'challenger' },
        { by: 'test', reason: 'test', effectiveFrom: seed === 1 ? null : BEGIN + HOUR },
      );
    }
    await registry.append(
      model.name,
      promote(2, { by: 'test', reason: 'test', effectiveFrom: BEGIN + 3 * HOUR }),
    );

    await flights.start(['ingest', 'features']);
    let process: ChildProcess = await flights.start(['inference']);
    const shadowTopic = topics.shadow(project.prefix, model.name);
    const watcher = await kafka.reader(
      Array.from({ length: flights.source.partitions }, (_, partition) => ({
        topic: shadowTopic,
        partition,
        position: 'earliest' as const,
      })),
    );
    let ended = false;
    let kills = 0;
    const killing = (async () => {
      while (!ended && kills < KILLS) {
        // Whatever comes here has been flushed just now, and the answers of its requests are about to be.
        if ((await watcher.poll(100)).length === 0) continue;
        process.kill('SIGKILL');
        kills += 1;
        process = await flights.start(['inference']);
        // What was flushed before the kill and while it restarted tells nothing new.
        while ((await watcher.poll(0)).length > 0);
      }
    })();
    await flights.replay(file, range);
    ended = true;
    await killing;
    await watcher.close();
    expect(kills).toBeGreaterThan(2);

    const read = async (topic: string) =>
      (await readTails(kafka, topic, 1e9)).flatMap((tail) =>
        tail.flatMap(({ value }) => (value === null ? [] : [codecs.predictions.decode(value)])),
      );
    const answers = await read(topics.predictions(project.prefix, model.name));
    const beside = await read(shadowTopic);
    const { accepted } = await flights.outcome();
    const timeline = timelineOf(await registry.history(model.name));
    const requests = accepted.filter(({ event }) => event.type === 'flight.departed');
    const answerOf = byId(answers);
    const shadowOf = byId(beside);
    const wanted = new Set<string>();
    for (const { event } of requests) {
      const { champion, shadows } = stretchAt(timeline, event.time);
      const check = (prediction: Prediction | undefined, version: number) => {
        expect(prediction, `${event.id} by version ${version}`).toMatchObject({
          status: 'scored',
          modelVersion: version,
        });
        const vector = Float64Array.from(prediction?.vector ?? []);
        expect(prediction?.score).toBe(scorers[version - 1]?.score(vector));
      };
      check(answerOf.get(`${event.id}:${model.name}`), champion ?? 0);
      for (const version of shadows) {
        const id = `${event.id}:${model.name}:v${version}`;
        wanted.add(id);
        check(shadowOf.get(id), version);
      }
    }
    expect(answerOf.size).toBe(requests.length);
    expect(new Set(shadowOf.keys())).toEqual(wanted);
    expect(wanted.size).toBeGreaterThan(requests.length / 2);
    // Nobody else held the partitions: what a killed process had flushed was found again, not sent again.
    expect([answers.length - answerOf.size, beside.length - shadowOf.size]).toEqual([0, 0]);
  });
});

function byId(predictions: readonly Prediction[]): Map<string, Prediction> {
  const first = new Map<string, Prediction>();
  for (const one of predictions) if (!first.has(one.id)) first.set(one.id, one);
  return first;
}
