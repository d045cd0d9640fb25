// Where things stand in a chart.

/** The least round number (1, 2, 2.5 or 5 times a power of ten) that is at least n. */
export function roundUp(n: number): number {
  if (n <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  for (const step of [1, 2, 2.5, 5, 10]) {
    const round = step * power;
    if (round >= n * (1 - 1e-12)) return round;
  }
  return 10 * power;
}

/** Where lines stand across the chart: 0, half, and all of it. */
export function gridLines(most: number): number[] {
  return [0, most / 2, most];
}

/** Which of n labels are written so that they do not touch: the first, the last, and some
    between at equal distances. */
export function labelled(n: number, room: number): number[] {
  if (n === 0) return [];
  const step = Math.max(1, Math.ceil(n / Math.max(1, room)));
  const all: number[] = [];
  for (let i = n - 1; i >= 0; i -= step) all.unshift(i);
  return all;
}

export interface Slot {
  x: number;
  width: number;
}

/** Where n bars stand in a width: equal, at most 34 wide, with gaps between. */
export function barSlots(n: number, width: number): Slot[] {
  const pitch = width / Math.max(1, n);
  const bar = Math.max(1.5, Math.min(34, pitch * (n > 40 ? 0.78 : 0.66)));
  return Array.from({ length: n }, (_, i) => ({ x: pitch * i + (pitch - bar) / 2, width: bar }));
}

/** The heights of a bar's parts, with a gap between them that the parts give up; what is
    there stays visible. From the ground up. */
export function partHeights(parts: number[], most: number, height: number, gap = 1.5): { from: number; to: number; part: number }[] {
  const shown = parts.map((value, part) => ({ value, part })).filter(({ value }) => value > 0);
  let ground = 0;
  return shown.map(({ value, part }, i) => {
    const full = (value / most) * height;
    const from = ground;
    ground += full;
    return { from: from + (i > 0 && full > gap * 2 ? gap : 0), to: Math.max(ground, from + 0.75), part };
  });
}

/** The outline of a bar's part: its top corners rounded where it is the topmost. */
export function partPath(x: number, width: number, top: number, bottom: number, radius: number): string {
  const r = Math.max(0, Math.min(radius, width / 2, bottom - top));
  return `M${round(x)} ${round(bottom)}V${round(top + r)}q0 ${round(-r)} ${round(r)} ${round(-r)}h${round(width - 2 * r)}q${round(r)} 0 ${round(r)} ${round(r)}V${round(bottom)}Z`;
}

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
