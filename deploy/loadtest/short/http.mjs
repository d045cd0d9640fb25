// k6/http: requests that are waited for one by one. How long one took includes its
// connection's making, which k6 tells apart.
import http from 'node:http';
import https from 'node:https';
import { builtin } from './metrics.mjs';

const agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
const patience = 60_000; // milliseconds

class Response {
  constructor(status, headers, body) {
    Object.assign(this, { status, headers, body });
  }

  // json is the whole body, or what a path of names with dots leads to.
  json(path) {
    const whole = JSON.parse(this.body);
    return path ? path.split('.').reduce((at, name) => at?.[name], whole) : whole;
  }
}

function exchange(method, url, body, headers) {
  return new Promise((resolve, reject) => {
    const { protocol } = new URL(url);
    const { request } = protocol === 'https:' ? https : http;
    const outgoing = request(url, { method, headers, agent: agents[protocol], timeout: patience }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (part) => {
        text += part;
      });
      incoming.on('error', reject);
      incoming.on('end', () => resolve(new Response(incoming.statusCode, incoming.headers, text)));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${patience} ms`)));
    outgoing.on('error', reject);
    outgoing.end(body ?? undefined);
  });
}

// asyncRequest is both of k6's: Node has none that waits, and scripts await what they are given.
async function asyncRequest(method, url, body, { headers = {}, tags = {} } = {}) {
  const began = performance.now();
  let response;
  try {
    response = await exchange(method, url, body, body === null ? headers : { 'Content-Length': Buffer.byteLength(body), ...headers });
  } catch (error) {
    console.error(`${method} ${tags.name ?? url}: ${error.message}`);
    response = new Response(0, {}, null);
  }
  const labels = { name: url, ...tags, status: String(response.status) };
  builtin.requests.add(1, labels);
  builtin.duration.add(performance.now() - began, labels);
  builtin.failed.add(response.status < 200 || response.status >= 400, labels);
  return response;
}

export default { request: asyncRequest, asyncRequest };
