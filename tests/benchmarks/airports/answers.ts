import { topics } from '../../../schemas/names.ts';
import { boundsOf, readTopic } from '../../../streams/runtime/topic.ts';
import type { Airports } from './project.ts';
import { Destination, landingOf } from './windows.ts';

export interface Answers {
  readonly predictions: number;
  /** Scored at the head that their time asks for. */
  readonly atFullHead: number;
  readonly refused: Readonly<Record<string, number>>;
  /** Scored answers whose vectors are not those of the yardstick's windows. */
  readonly different: number;
}

/** What the predictions topic holds, each vector beside the one that the yardstick's windows give. */
export async function countAnswers(airports: Airports): Promise<Answers> {
  const { project, model, platform } = airports;
  const expected = await expectedVectors(airports);
  const topic = topics.predictions(project.prefix, model.name);
  const { predictions: codec } = await platform.codecs();
  const refused: Record<string, number> = {};
  let predictions = 0;
  let atFullHead = 0;
  let different = 0;
  await readTopic(platform.kafka, topic, await boundsOf(platform.kafka, topic), ({ value }) => {
    if (value === null) return;
    const { requestId, reads, reason, status, vector } = codec.decode(value);
    predictions += 1;
    if (status === 'refused') {
      refused[reason ?? ''] = (refused[reason ?? ''] ?? 0) + 1;
      return;
    }
    if (reads.some(({ head, asOf }) => head !== asOf)) return;
    atFullHead += 1;
    const own = expected.get(requestId);
    if (own === undefined || vector.some((x, i) => !same(x, own[i] ?? Number.NaN))) different += 1;
  });
  return { predictions, atFullHead, refused, different };
}

const same = (a: number, b: number) => Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b));

async function expectedVectors({ project, model, platform }: Airports): Promise<Map<string, Float64Array>> {
  const topic = topics.raw(project.prefix, model.request.source);
  const destinations = new Map<string, Destination>();
  const vectors = new Map<string, Float64Array>();
  await readTopic(platform.kafka, topic, await boundsOf(platform.kafka, topic), ({ value }) => {
    const landing = landingOf(Buffer.from(value ?? new Uint8Array()).toString());
    if (typeof landing === 'string') return;
    const destination = destinations.get(landing.dest) ?? new Destination();
    destinations.set(landing.dest, destination);
    destination.add(landing);
    vectors.set(landing.id, destination.features(landing.ts));
  });
  return vectors;
}
