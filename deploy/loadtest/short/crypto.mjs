// k6/crypto.
import { createHmac } from 'node:crypto';

// hmac is in hexadecimal, or bytes where they are asked for as 'binary'.
function hmac(algorithm, secret, data, encoding) {
  const sum = createHmac(algorithm, typeof secret === 'string' ? secret : new Uint8Array(secret)).update(data).digest();
  if (encoding === 'hex') return sum.toString('hex');
  if (encoding === 'binary') return sum.buffer.slice(sum.byteOffset, sum.byteOffset + sum.byteLength);
  throw new Error(`hmac in ${encoding} is not known here`);
}

export default { hmac };
