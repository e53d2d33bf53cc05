import { beforeEach, describe, expect, it } from 'vitest';
import type { Prediction } from '../../../schemas/records/prediction.ts';
import { NEXT_HEADER, OPEN_HEADER, readResumes } from '../../../streams/inference/resume.ts';
import { createPlane, type Plane } from '../plane.ts';

let plane: Plane;
let T: number;

beforeEach(async () => {
  plane = await createPlane();
  T = plane.clock.now();
});

describe('where inference goes on', () => {
  const names = { predictions: '', shadow: '' };
  beforeEach(() => {
    const { prefix } = plane.project;
    names.predictions = `${prefix}.predictions.${plane.model.name}`;
    names.shadow = `${prefix}.shadow.${plane.model.name}`;
  });

  const encode = (sourceOffset: number, modelVersion = 1): Uint8Array => {
    const prediction: Prediction = {
      format: 1,
      id: `e${sourceOffset}`,
      requestId: `e${sourceOffset}`,
      requestTime: T,
      status: 'refused',
      reason: 'no_model',
      model: plane.model.name,
      modelVersion,
      artefact: '',
      score: null,
      decision: null,
      layout: '',
      vector: [],
      reads: [],
      sourceTopic: plane.raw,
      sourcePartition: 0,
      sourceOffset,
      rawAppendTime: T,
      waitMs: 0,
      readMs: 0,
      scoreMs: 0,
      absent: [],
    };
    return plane.codecs.predictions.encode(prediction);
  };

  async function send(
    topic: string,
    ...all: ReadonlyArray<{ value: Uint8Array | null; headers?: Record<string, string> }>
  ) {
    const producer = await plane.kafka.producer();
    await producer.send(all.map((one) => ({ topic, partition: 0, key: null, ...one })));
  }
  const resume = async () => (await readResumes(plane.kafka, plane.codecs.predictions, names))(0);

  it('with no answers is the start', async () => {
    expect(await resume()).toEqual({
      next: 0,
      answered: -1,
      through: -1,
      replayed: false,
      shadowed: new Map(),
    });
  });

  it('is behind the last whole send, and knows the largest request answered and whether a replay is open', async () => {
    await send(
      names.predictions,
      { value: encode(3) },
      { value: encode(4), headers: { [NEXT_HEADER]: '7', [OPEN_HEADER]: '1' } },
    );
    expect(await resume()).toMatchObject({ next: 7, answered: 4, replayed: true });
    await send(names.predictions, { value: null, headers: { [NEXT_HEADER]: '8' } });
    expect(await resume()).toMatchObject({ next: 8, answered: 4, replayed: false });
    // A send that was cut: its first answers stand, where it ended does not.
    await send(names.predictions, { value: encode(5) });
    expect(await resume()).toMatchObject({ next: 8, answered: 5 });
  });

  it('shadow scores that are ahead of the answers are known by version, and not sent again', async () => {
    await send(names.predictions, { value: encode(4), headers: { [NEXT_HEADER]: '5' } });
    await send(
      names.shadow,
      { value: encode(3, 2) },
      { value: encode(5, 2) },
      { value: encode(6, 2) },
      { value: encode(5, 3) },
    );
    expect((await resume()).shadowed).toEqual(
      new Map([
        [2, 6],
        [3, 5],
      ]),
    );
  });
});
