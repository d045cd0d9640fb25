// Stacked bars, drawn in SVG. Pointing, touching and the arrow keys pick a bar; the numbers
// of what is picked are told by who shows the chart.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Stack } from './stack';
import { barSlots, gridLines, labelled, partHeights, partPath, roundUp } from './scale';

const HEIGHT = 176;
const TOP = 8;
const FOOT = 20; // for the labels of time
const LABEL = 52; // wide, of a label of time
const RADIUS = 5;

export interface BarsProps {
  stack: Stack;
  colour: (model: string) => string;
  /** What is written under a bar. */
  label: (at: string) => string;
  /** What is written beside a line. */
  value: (nano: number) => string;
  /** All of it in a sentence, for who does not see it. */
  summary: string;
  /** What a picked bar says to a screen reader. */
  tell: (index: number) => string;
  picked: number | undefined;
  onPick: (index: number | undefined) => void;
  rightToLeft: boolean;
}

export default function Bars(p: BarsProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => setWidth(box.current!.clientWidth), []);
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 0));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);

  const { columns, models } = p.stack;
  const highest = Math.max(...columns.map((column) => column.total), 0);
  const most = roundUp(highest);
  const lines = highest > 0 ? gridLines(most) : [0];
  const side = Math.max(...lines.map((line) => p.value(line).length)) * 6.4 + 10;
  const inner = Math.max(0, width - side);
  const height = HEIGHT - TOP - FOOT;
  const slots = barSlots(columns.length, inner);
  const mirror = (x: number) => (p.rightToLeft ? width - x : x);
  const y = (nano: number) => TOP + height - (nano / most) * height;
  const named = labelled(columns.length, Math.floor(inner / LABEL));

  const pickAt = (clientX: number) => {
    const left = box.current!.getBoundingClientRect().left;
    const x = mirror(clientX - left);
    const i = Math.floor((x / inner) * columns.length);
    p.onPick(i >= 0 && i < columns.length ? i : undefined);
  };
  const onKey = (event: KeyboardEvent) => {
    const last = columns.length - 1;
    const ahead = p.rightToLeft ? 'ArrowLeft' : 'ArrowRight';
    const back = p.rightToLeft ? 'ArrowRight' : 'ArrowLeft';
    const next =
      event.key === ahead ? Math.min(last, (p.picked ?? -1) + 1)
      : event.key === back ? Math.max(0, (p.picked ?? columns.length) - 1)
      : event.key === 'Home' ? 0
      : event.key === 'End' ? last
      : event.key === 'Escape' ? undefined
      : null;
    if (next === null) return;
    event.preventDefault();
    p.onPick(next);
  };

  return (
    <div
      ref={box}
      tabIndex={0}
      role="slider"
      aria-label={p.summary}
      aria-orientation="horizontal"
      aria-valuemin={0}
      aria-valuemax={Math.max(0, columns.length - 1)}
      aria-valuenow={p.picked ?? Math.max(0, columns.length - 1)}
      aria-valuetext={p.picked === undefined ? p.summary : p.tell(p.picked)}
      onKeyDown={onKey}
      onPointerDown={(event) => pickAt(event.clientX)}
      onPointerMove={(event) => (event.pointerType === 'mouse' || event.buttons > 0) && pickAt(event.clientX)}
      onPointerLeave={(event) => event.pointerType === 'mouse' && p.onPick(undefined)}
      onBlur={() => p.onPick(undefined)}
    >
      <svg class={`chart${p.picked === undefined ? '' : ' picking'}`} width={width} height={HEIGHT} aria-hidden="true">
        {lines.map((line) => (
          <g key={line}>
            <line class="grid" x1={mirror(0)} x2={mirror(inner)} y1={Math.round(y(line)) + 0.5} y2={Math.round(y(line)) + 0.5} />
            <text x={mirror(width)} y={y(line) + 4} text-anchor={p.rightToLeft ? 'start' : 'end'}>{p.value(line)}</text>
          </g>
        ))}
        {columns.map((column, i) => {
          const slot = slots[i]!;
          const parts = partHeights(column.parts, most, height);
          const x = p.rightToLeft ? width - slot.x - slot.width : slot.x;
          return (
            <g key={column.at} class={`bar${p.picked === i ? ' picked' : ''}`}>
              {parts.map(({ from, to, part }, at) => (
                <path
                  key={part}
                  d={partPath(x, slot.width, TOP + height - to, TOP + height - from, at === parts.length - 1 ? RADIUS : 0)}
                  style={{ fill: p.colour(models[part]!) }}
                />
              ))}
            </g>
          );
        })}
        {named.map((i) => {
          const centre = mirror(slots[i]!.x + slots[i]!.width / 2);
          const half = LABEL / 2;
          return (
            <text key={i} x={Math.min(Math.max(centre, half - 8), width - half + 8)} y={HEIGHT - 4} text-anchor="middle">
              {p.label(columns[i]!.at)}
            </text>
          );
        })}
      </svg>
    </div>
  );
}
