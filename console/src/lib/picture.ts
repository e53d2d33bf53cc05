import { streamId } from './troubles.ts';
import type { TopicFigures, Topology } from './types.ts';

/** Where the boxes and arrows of the picture of the topology lie. Pure: the same topology gives the same picture. */

export interface Box {
  readonly id: string;
  readonly kind: 'topic' | 'stream';
  readonly title: string;
  readonly note: string;
  readonly x: number;
  readonly y: number;
  readonly topic: TopicFigures | null;
}

export interface Arrow {
  readonly id: string;
  readonly from: Box;
  readonly to: Box;
  /** Records a second that pass; null = not known. */
  readonly perSecond: number | null;
  /** Records that wait; null where the arrow leads from a stream. */
  readonly lag: number | null;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

export const BOX = { width: 150, height: 48, gapX: 70, gapY: 18 } as const;
const MARGIN = 12;

const TOPIC_COLUMN: Readonly<Record<TopicFigures['kind'], number>> = {
  raw: 0,
  validated: 2,
  view: 2,
  dead_letters: 2,
  asked: 2,
  predictions: 4,
  shadow: 4,
  alerts: 4,
  models: 4,
};
const TOPIC_TITLE: Readonly<Record<TopicFigures['kind'], string>> = {
  raw: 'events as sent',
  validated: 'valid events',
  view: 'contributions',
  dead_letters: 'dead letters',
  asked: 'asked by HTTP',
  predictions: 'predictions',
  shadow: 'shadow scores',
  alerts: 'alerts',
  models: 'model registry',
};
const STREAM_COLUMN: Readonly<Record<string, number>> = {
  ingest: 1,
  features: 3,
  inference: 3,
  archive: 5,
  delivery: 5,
};

export function pictureOf({ topics, streams }: Topology): Picture {
  const kinds = new Map(topics.map(({ topic, kind }) => [topic, kind]));
  const used = new Set(
    streams.flatMap(({ stream, reads, writes }) => [
      ...reads.flatMap(({ topic }) => (isDrawn(stream, kinds.get(topic)) ? [topic] : [])),
      ...writes,
    ]),
  );
  const columns: Array<Array<Omit<Box, 'x' | 'y'>>> = [[], [], [], [], [], []];
  for (const topic of topics) {
    if (!used.has(topic.topic)) continue;
    columns[TOPIC_COLUMN[topic.kind]]?.push({
      id: topic.topic,
      kind: 'topic',
      title: topic.of === '' ? TOPIC_TITLE[topic.kind] : topic.of,
      note: TOPIC_TITLE[topic.kind],
      topic,
    });
  }
  for (const stream of streams)
    columns[STREAM_COLUMN[stream.stream] ?? 3]?.push({
      id: streamId(stream),
      kind: 'stream',
      title: stream.stream,
      note: stream.of,
      topic: null,
    });

  const tallest = Math.max(...columns.map((column) => column.length));
  const inner = tallest * (BOX.height + BOX.gapY) - BOX.gapY;
  const boxes = columns.flatMap((column, c) => {
    const own = column.length * (BOX.height + BOX.gapY) - BOX.gapY;
    return column.map((box, row) => ({
      ...box,
      x: MARGIN + c * (BOX.width + BOX.gapX),
      y: MARGIN + (inner - own) / 2 + row * (BOX.height + BOX.gapY),
    }));
  });
  return {
    width: MARGIN * 2 + columns.length * (BOX.width + BOX.gapX) - BOX.gapX,
    height: MARGIN * 2 + Math.max(inner, BOX.height),
    boxes,
    arrows: arrowsOf({ topics, streams }, new Map(boxes.map((box) => [box.id, box]))),
  };
}

/** What the archive reads would be an arrow from every box over all others: the table tells it. */
const isDrawn = (stream: string, kind: TopicFigures['kind'] | undefined): boolean =>
  stream !== 'archive' || kind === 'predictions';

function arrowsOf(
  { streams }: Pick<Topology, 'topics' | 'streams'>,
  boxes: ReadonlyMap<string, Box>,
): readonly Arrow[] {
  const arrows: Arrow[] = [];
  for (const stream of streams) {
    const own = boxes.get(streamId(stream));
    if (own === undefined) continue;
    for (const { topic, lag } of stream.reads) {
      const from = boxes.get(topic);
      if (from === undefined || !isDrawn(stream.stream, from.topic?.kind)) continue;
      arrows.push({ id: `${topic}>${own.id}`, from, to: own, perSecond: from.topic?.perSecond ?? null, lag });
    }
    for (const topic of stream.writes) {
      const to = boxes.get(topic);
      if (to === undefined || to.x < own.x) continue;
      arrows.push({
        id: `${own.id}>${topic}`,
        from: own,
        to,
        perSecond: to.topic?.perSecond ?? null,
        lag: null,
      });
    }
  }
  return arrows;
}

/** A curve from the right edge of one box to the left edge of another. */
export function curveOf({ from, to }: Pick<Arrow, 'from' | 'to'>): string {
  const [x0, y0] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x1, y1] = [to.x, to.y + BOX.height / 2];
  const bend = Math.max(24, (x1 - x0) / 2);
  return `M${x0} ${y0} C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
}
