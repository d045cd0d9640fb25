// People who open the Mini App in Telegram: what Telegram would say of them is signed here
// with the bot's token, which only a site of one's own can be given.
import crypto from 'k6/crypto';
import http from 'k6/http';
import { check } from 'k6';
import { base, botToken } from './settings.js';

// firstPerson begins a stretch of Telegram ids that no run before has used; ids have 52 bits.
export function firstPerson() {
  return Date.now() * 1000;
}

// initData is what Telegram says of a person at this moment.
function initData(person) {
  if (!botToken) throw new Error('BOT_TOKEN is needed: people who open the Mini App are vouched for by it');
  const fields = [
    ['auth_date', String(Math.floor(Date.now() / 1000))],
    ['user', JSON.stringify({ id: person, first_name: 'Load', language_code: 'en' })],
  ];
  const secret = crypto.hmac('sha256', 'WebAppData', botToken, 'binary');
  const hash = crypto.hmac('sha256', secret, fields.map(([name, value]) => `${name}=${value}`).join('\n'), 'hex');
  return [...fields, ['hash', hash]].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
}

// session lets a person open the Mini App and gives back the session's token, or null.
export async function session(person) {
  const response = await http.asyncRequest('POST', `${base}/api/v1/session`, null, {
    tags: { name: 'session' },
    responseType: 'text',
    headers: { Authorization: `tma ${initData(person)}`, Origin: base },
  });
  const began = check(response, { 'session is begun': (r) => r.status === 200 });
  return began ? response.json('token') : null;
}
