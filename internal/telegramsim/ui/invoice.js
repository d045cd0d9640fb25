// Messages about Stars: the invoice in a bubble, and what says that it was paid.

import { button, el, icon } from './dom.js';
import { amount, paymentText, star } from './stars.js';

/** Tells whether a message is a line of the chat itself rather than somebody's words. */
export const isService = (message) => Boolean(message.successful_payment || message.refunded_payment || chatLine(message));

/** What the chat says about itself, or an empty string. */
export function chatLine(message) {
  const who = message.from?.first_name ?? 'Somebody';
  if (message.new_chat_members) return `${message.new_chat_members.map((u) => u.first_name).join(', ')} joined`;
  if (message.left_chat_member) return `${message.left_chat_member.first_name} left`;
  if (message.forum_topic_created) return `${who} made the topic “${message.forum_topic_created.name}”`;
  if (message.migrate_to_chat_id || message.migrate_from_chat_id) return 'This group is a supergroup now';
  return '';
}

/** The inside of an invoice's bubble. */
export function invoiceCard(message, payments) {
  const { title, description, total_amount: stars } = message.invoice;
  const paid = payments.filter((p) => p.invoice === message.message_id && !p.refunded).length;
  return el('div', { class: 'invoice', 'data-testid': 'invoice' },
    el('span', { class: 'invoice-badge', 'aria-hidden': 'true' }, star('big')),
    el('div', { class: 'invoice-words' },
      el('strong', { class: 'invoice-title', dir: 'auto', 'data-testid': 'message-text' }, title),
      el('p', { class: 'invoice-text', dir: 'auto' }, description),
      el('p', { class: 'invoice-price' }, amount(stars, { 'data-testid': 'invoice-price' }),
        paid ? el('span', { class: 'invoice-paid', 'data-testid': 'invoice-paid' }, icon('check'), paid === 1 ? 'Paid' : `Paid ${paid} times`) : null)));
}

/** The line that says what was paid or given back; it opens the receipt. */
export function serviceLine(message, bot, payments, act) {
  const line = chatLine(message);
  if (line) return el('span', { class: 'chat-line', dir: 'auto' }, line);
  const charge = (message.successful_payment ?? message.refunded_payment).telegram_payment_charge_id;
  const payment = payments.find((p) => p.charge === charge);
  const refund = Boolean(message.refunded_payment);
  return button({
    class: 'service-line', 'data-testid': refund ? 'refund' : 'receipt', 'aria-haspopup': 'dialog',
    on: { click: () => act.receipt(charge) },
  }, el('span', { class: 'service-icon', 'aria-hidden': 'true' }, refund ? icon('back') : star()),
  el('span', { class: 'service-text' }, paymentText(message, bot, payment)));
}
