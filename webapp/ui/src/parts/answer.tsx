// An answer as it is read: blocks of code, code in lines, bold; all else as it was written.

import type { ComponentChildren } from 'preact';

interface Block {
  code: boolean;
  text: string;
}

/** Tells blocks of code from the words around them. A block that has not ended yet is one. */
export function blocks(text: string): Block[] {
  const found: Block[] = [];
  let words: string[] = [];
  let code: string[] | undefined;
  const end = () => {
    if (words.some((line) => line.trim() !== '')) found.push({ code: false, text: words.join('\n').replace(/^\n+|\n+$/g, '') });
    words = [];
  };
  for (const line of text.split('\n')) {
    const fence = /^\s*```/.test(line);
    if (fence && code) {
      found.push({ code: true, text: code.join('\n') });
      code = undefined;
    } else if (fence) {
      end();
      code = [];
    } else if (code) {
      code.push(line);
    } else {
      words.push(line);
    }
  }
  if (code) found.push({ code: true, text: code.join('\n') });
  end();
  return found;
}

/** Code and bold inside a line. */
export function spans(text: string): { kind: 'text' | 'code' | 'bold'; text: string }[] {
  return text
    .split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/)
    .filter((part) => part !== '')
    .map((part) =>
      part.length > 2 && part.startsWith('`') && part.endsWith('`') ? { kind: 'code', text: part.slice(1, -1) }
      : part.length > 4 && part.startsWith('**') && part.endsWith('**') ? { kind: 'bold', text: part.slice(2, -2) }
      : { kind: 'text', text: part });
}

export function Answer({ text }: { text: string }): ComponentChildren {
  return blocks(text).map((block, i) =>
    block.code ? (
      <pre key={i} tabIndex={0}><code>{block.text}</code></pre>
    ) : (
      <span key={i} dir="auto">
        {spans(block.text).map((span, at) =>
          span.kind === 'code' ? <code key={at} dir="ltr">{span.text}</code>
          : span.kind === 'bold' ? <strong key={at}>{span.text}</strong>
          : span.text)}
      </span>
    ));
}
