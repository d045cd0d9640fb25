// Inline mode: what is typed behind the bot's name is asked of the bot, and what it
// offers stands above the input.

import { button, el, icon } from './dom.js';

const TYPING_MS = 350;   // of rest before the bot is asked
const MOST_QUERY = 256;  // characters
const WAIT_MS = 12000;   // for what the bot offers; then it is said that nothing came

/** What a text asks the bot inline, or null. */
export function inlineQuery(text, username) {
  const typed = /^@(\w+)\s([\s\S]*)$/.exec(text);
  if (!typed || !username || typed[1].toLowerCase() !== username.toLowerCase()) return null;
  const query = typed[2].trim();
  return [...query].length <= MOST_QUERY ? query : null;
}

/**
 * The list of what the bot offers. `act` has type(text), choose(query, result),
 * offered(query), app and begin; `sent` is called when a result was sent.
 */
export function createInline(store, act, sent) {
  const { state } = store;
  const list = el('div', { class: 'inline-results', role: 'listbox', 'aria-label': 'What the bot offers', 'data-testid': 'inline-results', hidden: true });
  let asked = null;   // the text that the bot was asked last
  let query = null;   // its id, of which an answer is awaited
  let shown = null;   // the id of what is shown
  let chosen = -1;
  let timer = 0;

  const items = () => [...list.querySelectorAll('[role=option]')];

  /** Takes what stands in the input now. */
  function update(text) {
    const next = inlineQuery(text, state.bot?.username);
    if (next === asked) return;
    asked = next;
    clearTimeout(timer);
    query = null;
    if (next === null) return close();
    say('Asking…', true);
    timer = setTimeout(() => ask(next), TYPING_MS);
    return undefined;
  }

  async function ask(text) {
    try {
      const { inline_query_id: id } = await act.type(text);
      if (asked !== text) return;
      query = id;
      timer = setTimeout(() => query === id && say(`${state.bot.first_name} offers nothing.`), WAIT_MS);
      await load(id); // the answer may have overtaken the reply
    } catch (error) {
      if (asked === text) say(error.message);
    }
  }

  async function load(id) {
    if (id !== query || id === shown) return;
    const { answer } = await act.offered(id);
    if (!answer || id !== query || id === shown) return; // told of it twice, it is shown once
    clearTimeout(timer);
    shown = id;
    render(answer);
  }

  function say(text, waiting = false) {
    shown = null;
    chosen = -1;
    list.hidden = false;
    list.replaceChildren(el('p', { class: `inline-note ${waiting ? 'waiting' : ''}`, role: 'status' }, text));
  }

  function render({ results, button: above }) {
    chosen = -1;
    const rows = results.map(row);
    if (above) rows.unshift(buttonRow(above));
    if (rows.length === 0) return say(`Write a question behind @${state.bot.username}.`);
    list.hidden = false;
    list.replaceChildren(...rows);
    return undefined;
  }

  function row(result, i) {
    return el('div', {
      class: 'inline-result', role: 'option', id: `inline-${i}`, 'data-testid': 'inline-result', 'aria-selected': 'false',
      on: {
        pointerdown: (event) => event.preventDefault(),
        click: () => choose(result.id),
      },
    },
    el('span', { class: 'inline-mark', 'aria-hidden': 'true' }, icon('ask')),
    el('span', { class: 'inline-words' },
      el('strong', { dir: 'auto' }, result.title ?? result.input_message_content?.message_text ?? result.type),
      result.description ? el('span', { dir: 'auto' }, result.description) : null));
  }

  // The button above the results: to the bot itself, or to its Mini App.
  function buttonRow(above) {
    return button({
      class: 'inline-above', 'data-testid': 'inline-button-above',
      on: {
        click: () => {
          close();
          sent();
          if (above.web_app?.url) act.app(above.web_app.url, 'keyboard');
          else act.begin(above.start_parameter);
        },
      },
    }, above.text);
  }

  async function choose(result) {
    const id = shown;
    if (!id || list.getAttribute('aria-busy') === 'true') return;
    list.setAttribute('aria-busy', 'true');
    const done = await act.choose(id, result);
    list.removeAttribute('aria-busy');
    if (!done) return;
    close();
    sent();
  }

  function mark(index) {
    chosen = index;
    items().forEach((node, i) => node.setAttribute('aria-selected', String(i === index)));
    items()[index]?.scrollIntoView({ block: 'nearest' });
  }

  /** Takes a key of the input; tells whether it was for the list. */
  function key(event) {
    const count = items().length;
    if (list.hidden) return false;
    if (event.key === 'Escape') close();
    else if (count > 0 && event.key === 'ArrowDown') mark((chosen + 1) % count);
    else if (count > 0 && event.key === 'ArrowUp') mark((chosen - 1 + count) % count);
    else if (chosen >= 0 && event.key === 'Enter' && !event.shiftKey) items()[chosen].click();
    else return false;
    return true;
  }

  function close() {
    clearTimeout(timer);
    query = null;
    shown = null;
    chosen = -1;
    list.hidden = true;
    list.replaceChildren();
  }

  store.on('inline', load);
  store.on('reset', () => {
    asked = null;
    close();
  });
  return { list, update, key };
}
