// The topics of a chat as a strip of tabs below its name.

import { button, el, icon } from './dom.js';

const TINTS = 6;

export function createTopics(store, act) {
  const { state } = store;
  const strip = document.getElementById('topics');
  let naming = false; // the name of a new topic is being written

  function render() {
    strip.hidden = !state.chat || (state.topics.length === 0 && !state.chat.is_forum);
    if (strip.hidden) {
      naming = false;
      strip.replaceChildren();
      return;
    }
    const held = strip.querySelector('input');
    if (naming && held) return renderTabs(); // what is being typed stays
    strip.replaceChildren(el('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Topics' }), naming ? field() : adder());
    renderTabs();
    if (naming) strip.querySelector('input').focus();
  }

  function renderTabs() {
    const focused = document.activeElement?.dataset.thread;
    const tabs = strip.querySelector('.tabs');
    tabs.replaceChildren(...[{ thread: 0, name: 'General' }, ...state.topics].map(tab));
    const current = tabs.querySelector('[aria-selected=true]');
    current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    if (focused !== undefined) tabs.querySelector(`[data-thread="${focused}"]`)?.focus();
  }

  function tab({ thread, name }) {
    const unread = state.unread[thread];
    return button({
      class: 'tab', role: 'tab', 'data-testid': 'topic', 'data-thread': thread, 'aria-selected': String(thread === state.thread),
      on: { click: () => act.topic(thread) },
    },
    thread === 0 ? el('span', { class: 'tab-mark', 'aria-hidden': 'true' }, '#') : el('span', { class: 'tab-mark dot', 'data-tint': String(thread % TINTS), 'aria-hidden': 'true' }),
    el('span', { class: 'tab-name', dir: 'auto' }, name),
    unread ? el('span', { class: 'badge' }, String(unread), el('span', { class: 'sr-only' }, ' new')) : null);
  }

  function adder() {
    return button({
      class: 'icon-button', 'aria-label': 'New topic', 'data-testid': 'topic-add',
      on: {
        click: () => {
          naming = true;
          render();
        },
      },
    }, icon('add'));
  }

  function field() {
    const input = el('input', { class: 'field topic-field', placeholder: 'Name of the topic', 'aria-label': 'Name of the new topic', maxlength: '128', 'data-testid': 'topic-field' });
    const end = () => {
      naming = false;
      render();
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') end();
      if (event.key !== 'Enter') return;
      const name = input.value.trim();
      end();
      if (name) act.addTopic(name);
    });
    input.addEventListener('blur', () => naming && !input.value.trim() && end());
    return input;
  }

  // Arrows go from tab to tab, as in any list of tabs.
  strip.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tabs = [...strip.querySelectorAll('.tab')];
    const at = tabs.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    tabs[(at + step + tabs.length) % tabs.length].focus();
  });

  store.on('reset', () => {
    naming = false;
    strip.replaceChildren();
    render();
  });
  store.on('topics thread', render);
}
