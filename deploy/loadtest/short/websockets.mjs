// k6/websockets: Node's own WebSocket, with the headers that k6 lets a client send.
const Standard = globalThis.WebSocket;

export class WebSocket extends Standard {
  constructor(url, protocols, { headers = {} } = {}) {
    super(url, { protocols: protocols ?? [], headers });
  }
}
