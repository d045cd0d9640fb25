// Messages about Stars: the invoice in a bubble, and what says that it was paid.

import { button, el, icon } from './dom.js';
import { amount, paymentText, star } from './stars.js';

/** Tells whether a message is a line of the chat itself rather than somebody's words. */
export const isService = (message) => Boolean(message.successful_payment || message.refunded_payment);

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
  const charge = (message.successful_payment ?? message.refunded_payment).telegram_payment_charge_id;
  const payment = payments.find((p) => p.charge === charge);
  const refund = Boolean(message.refunded_payment);
  return button({
    class: 'service-line', 'data-testid': refund ? 'refund' : 'receipt', 'aria-haspopup': 'dialog',
    on: { click: () => act.receipt(charge) },
  }, el('span', { class: 'service-icon', 'aria-hidden': 'true' }, refund ? icon('back') : star()),
  el('span', { class: 'service-text' }, paymentText(message, bot, payment)));
}
