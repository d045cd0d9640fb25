// Contrast by WCAG 2: Telegram's palettes, and those that people make, are often too faint.

/** "#rgb" or "#rrggbb" as three numbers of 0…255; undefined when it is neither. */
export function rgb(colour: string): [number, number, number] | undefined {
  let hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour.trim())?.[1];
  if (!hex) return undefined;
  if (hex.length === 3) hex = [...hex].map((digit) => digit + digit).join('');
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
}

/** Relative luminance, 0…1. */
export function luminance(colour: string): number {
  const parts = (rgb(colour) ?? [0, 0, 0]).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0]! + 0.7152 * parts[1]! + 0.0722 * parts[2]!;
}

/** Contrast of two colours, 1…21. */
export function contrast(a: string, b: string): number {
  const [dim, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (bright! + 0.05) / (dim! + 0.05);
}

/** Part of the way from one colour to another, 0…1. */
export function mix(from: string, to: string, part: number): string {
  const [a, b] = [rgb(from) ?? [0, 0, 0], rgb(to) ?? [0, 0, 0]];
  return '#' + a.map((x, i) => Math.round(x + (b[i]! - x) * part).toString(16).padStart(2, '0')).join('');
}

/** The colour nearest to the given one that stands out from all the grounds by the ratio:
    darkened, or lightened where the grounds are dark. */
export function standOut(colour: string, grounds: string[], ratio = 4.5): string {
  const enough = (candidate: string) => grounds.every((ground) => contrast(candidate, ground) >= ratio);
  const light = grounds.reduce((sum, ground) => sum + luminance(ground), 0) / grounds.length > 0.18;
  for (let step = 0; step <= 20; step++) {
    const candidate = mix(colour, light ? '#000000' : '#ffffff', step / 20);
    if (enough(candidate)) return candidate;
  }
  return light ? '#000000' : '#ffffff';
}
