// Endurance of the live sockets: five thousand people have the Mini App open and hear of
// every call that is paid from their accounts. A client holds a hundred sockets.
import exec from 'k6/execution';
import { check } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';
import { WebSocket } from 'k6/websockets';
import { proxy, severalAtATime } from './lib/calls.js';
import { pause } from './lib/pause.js';
import { firstPerson, session } from './lib/people.js';
import { base, options as bounded, patience, scaled, seconds, summary } from './lib/settings.js';

severalAtATime();

const sockets = scaled(5000);
const clients = Math.ceil(sockets / 100);
const callsEach = scaled(100) / clients; // a second of a client: a hundred of all
const length = seconds(300);
const opening = 120; // seconds at most

const opened = new Rate('sockets_opened');
const lost = new Counter('sockets_lost');
const heard = new Rate('calls_heard');
const after = new Trend('heard_after', true);

export const options = bounded({
  sockets: {
    executor: 'per-vu-iterations', vus: clients, iterations: 1, maxDuration: `${length + opening + 60}s`,
  },
}, {
  sockets_opened: ['rate>0.99'],
  sockets_lost: ['count<1'],
  calls_heard: ['rate>0.99'],
  heard_after: ['p(95)<500', 'p(99)<1000'],
});

export function setup() {
  return { first: firstPerson() };
}

export default async function ({ first }) {
  const client = exec.scenario.iterationInTest;
  const mine = Math.min(100, sockets - 100 * client);
  const people = [];
  for (let i = 0; i < mine; i += 1) {
    const [listener] = await Promise.all([open(first + 100 * client + i), pause(0.05)]);
    opened.add(listener !== null);
    if (listener) people.push(listener);
  }
  const end = Date.now() + 1000 * length;
  for (let n = 0; people.length > 0 && Date.now() < end; n += 1) {
    const due = Date.now() + 1000 / callsEach;
    await call(people[(n * 37) % people.length]); // 37 has no divisor with a hundred: everybody has a turn
    const early = (due - Date.now()) / 1000;
    if (early > 0) await pause(early);
  }
  for (const listener of people) listener.close();
}

// open lets a person open the Mini App and listen; null where that did not succeed.
async function open(person) {
  const token = await session(person);
  if (!token) return null;
  return new Promise((resolve) => {
    const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/api/v1/live`, null, { headers: { Origin: base }, tags: { name: 'live' } });
    const listener = { token, told: null, closing: false, close };
    function close() {
      listener.closing = true;
      socket.close();
    }
    let ready = false;
    socket.addEventListener('open', () => socket.send(JSON.stringify({ type: 'auth', token, after: '' })));
    socket.addEventListener('message', ({ data }) => {
      const { events = [] } = JSON.parse(data);
      for (const { type } of events) {
        if (type === 'balance' && !ready) {
          ready = true;
          resolve(listener);
        }
        if (type === 'usage' && listener.told) listener.told();
      }
    });
    const ended = () => {
      if (!ready) {
        resolve(null);
      } else if (!listener.closing) {
        lost.add(1);
        listener.closing = true;
      }
    };
    socket.addEventListener('error', ended);
    socket.addEventListener('close', ended);
  });
}

// call pays for a completion of a person and waits until their socket hears of it.
async function call(listener) {
  const hearing = new Promise((resolve) => {
    listener.told = () => resolve(true);
  });
  const paid = await proxy(listener.token, { Origin: base });
  const asked = Date.now();
  if (paid.status !== 200) return;
  const told = await Promise.race([hearing, pause(patience).then(() => false)]);
  listener.told = null;
  heard.add(told);
  if (told) after.add(Date.now() - asked);
  check(told, { 'the call is heard of': (is) => is });
}

export const handleSummary = summary;
