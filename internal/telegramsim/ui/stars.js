// Stars as they are shown: the icon, amounts, dates, and what a payment says of itself.

import { el } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const STAR = 'M12 2.6l2.76 5.86 6.3.86a.6.6 0 0 1 .34 1.03l-4.6 4.4 1.15 6.3a.6.6 0 0 1-.88.63L12 18.6l-5.07 3.08a.6.6 0 0 1-.88-.64l1.15-6.3-4.6-4.39a.6.6 0 0 1 .34-1.03l6.3-.86z';

const number = new Intl.NumberFormat('en');
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

const MONTH_SECONDS = 2592000;

/** The golden star; decoration, so what it stands for is said beside it. */
export function star(size = 'inline') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('star', size);
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', STAR);
  svg.append(path);
  return svg;
}

/** An amount with its star: "★ 1,000". */
export function amount(stars, props = {}) {
  return el('span', { ...props, class: `amount ${props.class ?? ''}`.trim() }, star(), el('span', { class: 'sr-only' }, 'Stars: '), number.format(stars));
}

export const digits = (stars) => number.format(stars);
export const count = (stars) => (stars === 1 ? '1 Star' : `${digits(stars)} Stars`);
export const day = (seconds) => dayFormat.format(new Date(seconds * 1000));
export const moment = (seconds) => timeFormat.format(new Date(seconds * 1000));

/** How often a subscription is paid. */
export const period = (seconds) => (seconds === MONTH_SECONDS ? 'month' : `${Math.round(seconds / 86400)} days`);

/** The words of a key to pay, with stars for "⭐" and "XTR", as Telegram shows them. */
export function payLabel(text) {
  const parts = text.split(/⭐️?|XTR/);
  return parts.flatMap((part, i) => (i === 0 ? [part] : [star(), part]));
}

/** The slug of a link to an invoice, or null for any other address. */
export function invoiceSlug(address) {
  try {
    const url = new URL(address, location.href);
    if (url.hostname !== 't.me' && url.origin !== location.origin) return null;
    const found = /^\/(?:\$|invoice\/)([^/]+)$/.exec(decodeURIComponent(url.pathname));
    return found && found[1];
  } catch {
    return null;
  }
}

/** What a service message about Stars says, in words alone. */
export function paymentText(message, bot, payment) {
  const paid = message.successful_payment;
  const what = payment ? ` for ${payment.title}` : '';
  if (paid?.is_recurring && !paid.is_first_recurring) return `You paid ${count(paid.total_amount)} to ${bot}${what}, another month`;
  if (paid) return `You paid ${count(paid.total_amount)} to ${bot}${what}`;
  return `${bot} refunded you ${count(message.refunded_payment.total_amount)}${what}`;
}
