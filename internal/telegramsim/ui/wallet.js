// A person's Stars: what they have, what they paid, what they subscribe to, and
// the receipt of one payment.

import * as api from './api.js';
import { button, el, icon } from './dom.js';
import { copy, toast } from './notices.js';
import { confirmation, row, sheet } from './sheet.js';
import { amount, count, day, digits, moment, period, star } from './stars.js';

const GIFT = 1000; // Stars per press on "Get more"

/** Runs a call and says why it failed. */
async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message.replace(/^BALANCE_TOO_LOW: the person has/, 'You have'), 'error');
    return false;
  }
}

/** Shows what the person has and what became of it. */
export async function wallet(store) {
  const { state } = store;
  const user = state.user.id;
  const total = el('p', { class: 'wallet-total', 'data-testid': 'wallet-stars' });
  const lists = el('div', { class: 'wallet-lists' });
  const more = confirmation(async () => {
    more.busy('One moment…');
    await attempt(() => api.setStars(user, state.stars + GIFT));
    more.ready();
  }, { 'data-testid': 'wallet-more' });
  more.label(`Get ${count(GIFT)} for free`);
  const box = sheet('My Stars', { testid: 'wallet', head: el('div', { class: 'sheet-star small', 'aria-hidden': 'true' }, star('huge')) },
    total, more.node, lists,
    el('p', { class: 'sheet-note' }, 'Simulated: these Stars are pretend.'));

  async function render() {
    total.replaceChildren(amount(state.stars));
    const mine = await api.stars(user).catch(() => null);
    if (!mine) return;
    lists.replaceChildren(
      ...list('Subscriptions', mine.subscriptions.map((sub) => entry(sub.bill.title, status(sub), `−${digits(sub.bill.stars)}`, () => receipt(store, sub.id)))),
      ...list('Payments', mine.payments.toReversed().map((p) => entry(p.title, p.refunded ? `${moment(p.date)}, refunded` : moment(p.date), p.refunded ? '0' : `−${digits(p.stars)}`, () => receipt(store, p.charge)))));
  }

  box.addEventListener('close', store.on('stars payment subscription reset', () => {
    if (state.user.id === user) render();
    else box.close();
  }));
  await render();
}

function list(title, entries) {
  return entries.length ? [el('h3', {}, title), el('ul', { class: 'wallet-list' }, entries)] : [];
}

function entry(title, detail, stars, open) {
  return el('li', {}, button({ class: 'wallet-entry', on: { click: open } },
    el('span', { class: 'wallet-words' }, el('strong', {}, title), el('span', {}, detail)),
    el('span', { class: 'amount' }, stars, star())));
}

function status(sub) {
  if (sub.expires * 1000 <= Date.now()) return `Ended on ${day(sub.expires)}`;
  if (sub.canceled_by_bot) return `Ended by the bot; paid until ${day(sub.expires)}`;
  if (sub.canceled) return `Cancelled; paid until ${day(sub.expires)}`;
  if (sub.failed) return `The last renewal failed; paid until ${day(sub.expires)}`;
  return `Renews on ${day(sub.expires)}`;
}

/** Shows one payment, with its subscription where it has one. */
export async function receipt(store, charge) {
  const { state } = store;
  const user = state.user.id;
  const body = el('div', { class: 'receipt' });
  const found = await find(user, charge);
  if (!found.payment) return toast('The simulator has forgotten this payment.', 'error');
  const box = sheet(found.payment.title, { testid: 'receipt-sheet', head: el('div', { class: 'sheet-star small', 'aria-hidden': 'true' }, star('huge')) }, body);
  render(found);

  function render({ payment, subscription }) {
    const bot = state.bot.first_name;
    body.replaceChildren(
      el('p', { class: 'receipt-amount', 'data-testid': 'receipt-amount', 'data-refunded': payment.refunded ? 'true' : null },
        payment.refunded ? 'Refunded ' : '−', amount(payment.stars)),
      el('dl', { class: 'facts' },
        row('To', bot),
        row('Paid', moment(payment.date)),
        payment.refunded ? row('Refunded', moment(payment.refunded)) : null,
        subscription ? row('Price', amount(subscription.bill.stars), ` a ${period(subscription.bill.period)}`) : null,
        subscription ? row('Subscription', el('span', { 'data-testid': 'subscription-status' }, status(subscription))) : null,
        row('Transaction', button({ class: 'charge', title: 'Copy', on: { click: () => copy(payment.charge) } }, el('span', {}, payment.charge), icon('copy')))),
      actions(payment, subscription));
  }

  function actions(payment, subscription) {
    const act = (label, work, props = {}) => button({
      class: 'sheet-action', ...props,
      on: {
        click: async ({ currentTarget: node }) => {
          node.disabled = true;
          if (!await attempt(work)) node.disabled = false;
        },
      },
    }, label);
    const change = (action) => () => api.subscription(user, subscription.id, action);
    const running = subscription && subscription.expires * 1000 > Date.now() && !subscription.canceled_by_bot;
    return el('div', { class: 'sheet-actions' },
      running && !subscription.canceled ? act('Renew now, as in a month', change('renew'), { 'data-testid': 'subscription-renew' }) : null,
      running && !subscription.canceled ? act('Cancel the subscription', change('cancel'), { 'data-testid': 'subscription-cancel', 'data-kind': 'danger' }) : null,
      running && subscription.canceled ? act('Subscribe again', change('resume'), { 'data-testid': 'subscription-resume' }) : null,
      payment.refunded ? null : act('Have Telegram refund it', () => api.refund(payment.charge), { 'data-testid': 'refund-payment', 'data-kind': 'danger' }));
  }

  box.addEventListener('close', store.on('payment subscription reset', async () => {
    if (state.user.id !== user) return box.close();
    const now = await find(user, charge);
    if (now.payment && box.isConnected) render(now);
    return undefined;
  }));
  return undefined;
}

async function find(user, charge) {
  try {
    const mine = await api.stars(user, charge);
    const payment = mine.payments.find((p) => p.charge === charge);
    return { payment, subscription: mine.subscriptions.find((sub) => sub.id === payment?.subscription) };
  } catch {
    return {};
  }
}
