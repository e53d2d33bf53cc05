import { useMemo } from 'react';
import { number, rate } from '../lib/format.ts';
import { type Arrow, BOX, type Box, curveOf, pictureOf } from '../lib/picture.ts';
import type { Topology } from '../lib/types.ts';

/** The topology as a picture: what flows is drawn moving, thicker where more flows. The tables below say the same in words. */
export function FlowPicture({
  topology,
  marked,
}: {
  readonly topology: Topology;
  readonly marked: ReadonlyMap<string, 'bad' | 'warn'>;
}) {
  const { width, height, boxes, arrows } = useMemo(() => pictureOf(topology), [topology]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls on a narrow screen, with the arrow keys too
    <div className="scroll" tabIndex={0} role="group" aria-label="Picture of the flow">
      <svg
        className="flow"
        viewBox={`0 0 ${width} ${height}`}
        style={{ minWidth: Math.min(width, 1_100), maxHeight: Math.max(height, 240) }}
        role="img"
        aria-label="Topics and streams from the events as sent to the predictions. The tables below give the same figures."
      >
        {arrows.map((arrow) => (
          <Drawn key={arrow.id} arrow={arrow} />
        ))}
        {boxes.map((box) => (
          <Place key={box.id} box={box} mark={marked.get(box.id)} />
        ))}
      </svg>
    </div>
  );
}

function Drawn({ arrow }: { readonly arrow: Arrow }) {
  const { from, to, perSecond, lag } = arrow;
  const flows = (perSecond ?? 0) > 0;
  const d = curveOf(arrow);
  const middle = { x: (from.x + BOX.width + to.x) / 2, y: (from.y + to.y + BOX.height) / 2 };
  return (
    <g className={`arrow${flows ? ' flows' : ''}`}>
      <path d={d} strokeWidth={1.5 + Math.log10(1 + (perSecond ?? 0))} />
      {flows && <path d={d} className="drops" />}
      {lag !== null && lag > 0 && (
        <text x={middle.x} y={middle.y - 4} textAnchor="middle" className="lag">
          {number(lag)} wait
        </text>
      )}
    </g>
  );
}

function Place({ box, mark }: { readonly box: Box; readonly mark: 'bad' | 'warn' | undefined }) {
  const { x, y, kind, title, note, topic } = box;
  const second = topic === null ? note : `${note} · ${rate(topic.perSecond)}`;
  return (
    <g className={`place ${kind} ${topic?.kind ?? ''} ${mark ?? ''}`} transform={`translate(${x} ${y})`}>
      <title>
        {topic === null ? `${title} ${note}` : `${topic.topic}: ${number(topic.records)} records`}
      </title>
      <rect width={BOX.width} height={BOX.height} rx={kind === 'stream' ? BOX.height / 2 : 8} />
      <text x={BOX.width / 2} y={second === '' ? 29 : 21} textAnchor="middle" className="place-title">
        {short(title, 19)}
      </text>
      {second !== '' && (
        <text x={BOX.width / 2} y={37} textAnchor="middle" className="place-note">
          {short(second, 26)}
        </text>
      )}
    </g>
  );
}

const short = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}…` : text;
