// The calls of the public API, each with its checks. A call is named after what it does, so
// that figures are told apart by name and never by address.
import http from 'k6/http';
import { check } from 'k6';
import { base, keys, model } from './settings.js';

const question = [{ role: 'user', content: 'How do I read a file line by line in Go?' }];
const simple = JSON.stringify({ model, max_tokens: 64, messages: question });

// send makes a request. A client that waits for each of its requests costs k6 least.
let send = http.request;

// severalAtATime is for scripts whose clients have more than one request under way.
export function severalAtATime() {
  send = http.asyncRequest;
}

// keyOf spreads calls over the keys.
export function keyOf(n) {
  if (keys.length === 0) throw new Error('KEYS_FILE names no keys: make some with `kikuai admin key` and put them into a JSON array');
  return keys[n % keys.length];
}

function params(name, bearer, more) {
  return {
    tags: { name },
    responseType: 'text',
    headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json', ...more },
  };
}

// answered checks a status and that the body holds a field.
function answered(response, name, status, field) {
  return check(response, {
    [`${name} is answered`]: (r) => r.status === status && typeof r.body === 'string' && r.body.includes(`"${field}"`),
  });
}

// balance asks for the balance and gives back the answer.
export async function balance(bearer) {
  const response = await send('GET', `${base}/api/v1/balance`, null, params('balance', bearer));
  answered(response, 'balance', 200, 'available_nano_usd');
  return response;
}

// usage asks for this month's usage; details: by model and day too.
export async function usage(bearer, details) {
  const response = await send('GET', `${base}/api/v1/usage${details ? '?include_details=true' : ''}`, null, params('usage', bearer));
  answered(response, 'usage', 200, 'calls');
  return response;
}

// proxy pays for a completion in the simple form.
export async function proxy(bearer, more) {
  const response = await send('POST', `${base}/api/v1/proxy/llm`, simple, params('proxy', bearer, more));
  answered(response, 'proxy', 200, 'usage');
  return response;
}

// completion pays for a completion in OpenAI's form.
export async function completion(bearer) {
  const response = await send('POST', `${base}/v1/chat/completions`, simple, params('completion', bearer));
  answered(response, 'completion', 200, 'choices');
  return response;
}

// makeKey makes an API key and gives back its id and the key, or null.
export async function makeKey(bearer, name) {
  const response = await send('POST', `${base}/api/v1/keys`, JSON.stringify({ name }), params('key', bearer, { Origin: base }));
  return answered(response, 'key', 201, 'key') ? response.json() : null;
}

// revokeKey ends it.
export async function revokeKey(bearer, id) {
  const response = await send('DELETE', `${base}/api/v1/keys/${id}`, null, params('revoke', bearer, { Origin: base }));
  answered(response, 'revoke', 200, 'revoked');
}

// Ten balances, five usages and one paid call, as even as sixteen can be.
const order = [balance, usage, balance, balance, usage, balance, balance, usage, balance, proxy, balance, usage, balance, balance, usage, balance];

// mix makes the n-th call of the mix.
export function mix(n) {
  return order[n % order.length](keyOf(Math.floor(n / order.length)));
}
