// The sheet that asks a person to pay an invoice, and says how it went.

import * as api from './api.js';
import { button, el, icon } from './dom.js';
import { amount, count, digits, payLabel, period, star } from './stars.js';
import { confirmation, row, sheet } from './sheet.js';

const PRESENT = 1000; // Stars given at once to who has too few
const LOOK_MS = 1100; // the sheet stays so long after the payment, to be seen

/**
 * Asks whether to pay. `order` is {title, description, stars, period?} and what
 * identifies the invoice: {message_id} or {link}.
 */
export function paySheet(store, order) {
  const { state } = store;
  const user = state.user.id;
  const bot = state.bot.first_name;
  const what = { title: order.period ? 'Subscribe' : 'Confirm your purchase' };
  const balance = el('div', { class: 'sheet-balance', 'data-testid': 'pay-balance' });
  const problem = el('div', { class: 'sheet-problem', role: 'alert', 'data-testid': 'pay-problem', hidden: true });
  const confirm = confirmation(pay, { 'data-testid': 'pay-confirm' });
  const box = sheet(what.title, {
    testid: 'pay-sheet',
    aside: balance,
    head: el('div', { class: 'sheet-star', 'aria-hidden': 'true' }, star('huge'), el('i'), el('i'), el('i'), el('i'), el('i'), el('i')),
  },
  question(order, bot),
  el('dl', { class: 'facts' },
    row(order.title, amount(order.stars)),
    order.period ? row('Renews', `every ${period(order.period)}, until you cancel`) : null),
  problem, confirm.node,
  el('p', { class: 'sheet-note' }, 'Simulated: these Stars are pretend, nothing is charged.'));

  function render() {
    balance.replaceChildren('Balance', amount(state.stars));
    confirm.label(...payLabel(order.period ? `Subscribe for ⭐ ${digits(order.stars)} a ${period(order.period)}` : `Pay ⭐ ${digits(order.stars)}`));
  }

  function fail(text, ...more) {
    problem.replaceChildren(el('p', {}, text), ...more);
    problem.hidden = false;
  }

  async function pay() {
    problem.hidden = true;
    if (state.stars < order.stars) return short();
    confirm.busy(`Waiting for ${bot}…`);
    box.dataset.state = 'waiting';
    try {
      await api.pay(user, order.link ? { link: order.link } : { message_id: order.message_id });
      box.dataset.state = 'paid';
      confirm.done(icon('check'), order.period ? 'Subscribed' : 'Paid');
      setTimeout(() => box.close(), LOOK_MS);
    } catch (error) {
      delete box.dataset.state;
      confirm.ready();
      if (error.status === 402) short();
      else if (error.status === 422) fail(`${bot} says: ${error.message.replace(/^the bot refused the payment: /, '')}`);
      else if (error.status === 504) fail(`${bot} did not answer in time. You paid nothing.`);
      else fail(error.message);
    }
    return undefined;
  }

  function short() {
    const missing = order.stars - state.stars;
    fail(`You have too few Stars: ${count(missing)} more are needed.`, button({
      class: 'primary', 'data-testid': 'pay-stars',
      on: {
        click: async () => {
          try {
            await api.setStars(user, state.stars + Math.ceil(missing / PRESENT) * PRESENT);
            problem.hidden = true;
            confirm.node.focus();
          } catch (error) {
            fail(error.message);
          }
        },
      },
    }, `Get ${count(Math.ceil(missing / PRESENT) * PRESENT)} for free`));
  }

  const forget = store.on('stars reset', () => {
    if (state.user.id === user) render();
    else box.close();
  });
  box.addEventListener('close', forget);
  render();
  confirm.node.focus();
  return box;
}

function question(order, bot) {
  const price = el('strong', {}, count(order.stars));
  const title = el('strong', {}, order.title);
  return el('div', { class: 'sheet-question' },
    order.period
      ? el('p', {}, 'Subscribe to ', title, ' in ', el('strong', {}, bot), ' for ', price, ` a ${period(order.period)}?`)
      : el('p', {}, 'Do you want to buy ', title, ' in ', el('strong', {}, bot), ' for ', price, '?'),
    el('p', { class: 'sheet-description', dir: 'auto' }, order.description));
}
