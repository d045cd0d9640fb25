// What a person can do with the group they look at.

import { button, icon, el } from './dom.js';

/** The items of the panel for the group that is shown; none in a private chat. */
export function groupItems(state, act, close) {
  if (state.chat.type === 'private') return [];
  const item = (testid, name, text, work) => button({
    class: 'panel-item', 'data-testid': testid,
    on: {
      click: () => {
        close();
        work();
      },
    },
  }, icon(name), el('span', { class: 'grow', dir: 'auto' }, text));
  const strangers = state.users.filter((user) => !state.members.some((m) => m.id === user.id));
  return [
    el('p', { class: 'panel-title', dir: 'auto' }, state.chat.title),
    ...strangers.map((user) => item('group-add', 'add', `Add ${user.first_name} to the group`, () => act.join(user.id))),
    state.chat.type === 'group' ? item('group-upgrade', 'up', 'Make it a supergroup', act.upgrade) : null,
    state.chat.type === 'supergroup' && !state.chat.is_forum ? item('group-forum', 'topic', 'Turn topics on', act.forum) : null,
    state.botGone
      ? item('group-bot', 'add', `Bring ${state.bot.first_name} back`, () => act.setBot(true))
      : item('group-bot', 'block', `Remove ${state.bot.first_name}`, () => act.setBot(false)),
    item('group-leave', 'out', 'Leave the group', act.leave),
  ].filter(Boolean);
}
