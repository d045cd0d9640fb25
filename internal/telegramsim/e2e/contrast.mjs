// Looks for text that is hard to read.

/** Says which visible texts of a page have less contrast than 4.5 to 1. */
export function lowContrast(page) {
  return page.evaluate(() => {
    const parse = (c) => (c.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const over = ([r, g, b, a = 1], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
    const light = (c) => c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    // Over the wallpaper the palest and darkest spot both count.
    const papers = matchMedia('(prefers-color-scheme: dark)').matches ? [[14, 26, 36], [40, 60, 75]] : [[217, 231, 195], [120, 160, 150]];
    const ground = (node, paper) => {
      const layers = [];
      for (let n = node; n; n = n.parentElement) layers.unshift(parse(getComputedStyle(n).backgroundColor));
      return layers.reduce((under, layer) => over(layer.length === 3 ? [...layer, 1] : layer, under), paper);
    };
    const bad = [];
    for (const node of document.querySelectorAll('body *')) {
      const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
      if (!own || !node.checkVisibility() || node.closest('.sr-only, .avatar, noscript, .shimmer')) continue;
      for (const paper of papers) {
        const under = ground(node, paper);
        const text = over([...parse(getComputedStyle(node).color), 1].slice(0, 4), under);
        const [a, b] = [light(text), light(under)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) bad.push(`${node.className || node.tagName} “${node.textContent.slice(0, 20)}” ${ratio.toFixed(2)}`);
      }
    }
    return bad;
  });
}
