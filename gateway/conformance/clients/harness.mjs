// What the clients' scripts share: each case runs directly against the provider and
// through the gateway, and what came of it is printed as JSON for the test to compare.
const { direct, through, control, poor, limited, prefix } = JSON.parse(process.env.CONFORMANCE);

/** The two ways to a model: { openai, anthropic } are base URLs, key is a string. */
export const ways = { direct, through };
/** Keys that only the gateway has, and the prefix of this client's own models. */
export const keys = { poor, limited };
export const own = prefix;

export const words = "Say something, bitte: „größer“ 漢字 🙂";
export const pixel =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const weather = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" }, units: { type: "string", enum: ["metric", "imperial"] } },
  required: ["city", "days", "units"],
  additionalProperties: false,
};
export const clock = { type: "object", properties: {}, additionalProperties: false };

/** Everything that an async iterable yields. */
export const all = async (iterable) => {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
};

/** The provider answers the next calls so. */
export const enqueue = (...scripts) => fetch(control, { method: "POST", body: JSON.stringify(scripts) });

/** A wav of a second of silence. */
export const wav = () => {
  const size = 48_000;
  const b = Buffer.alloc(44 + size);
  b.write("RIFF", 0), b.writeUInt32LE(36 + size, 4), b.write("WAVEfmt ", 8), b.writeUInt32LE(16, 16);
  b.writeUInt16LE(1, 20), b.writeUInt16LE(1, 22), b.writeUInt32LE(24_000, 24), b.writeUInt32LE(48_000, 28);
  b.writeUInt16LE(2, 32), b.writeUInt16LE(16, 34), b.write("data", 36), b.writeUInt32LE(size, 40);
  return b;
};

const outcome = async (call) => {
  try {
    return { value: (await call()) ?? null };
  } catch (error) {
    return { error: error.constructor.name, status: error.status ?? error.statusCode ?? null, said: error.message };
  }
};

/**
 * Runs the cases. A function is called with each way in turn; of { expect, run } the
 * function runs through the gateway alone, and must come to what is expected.
 */
export const run = async (cases) => {
  const seen = {};
  for (const [name, one] of Object.entries(cases)) {
    seen[name] =
      typeof one === "function"
        ? { direct: await outcome(() => one(direct)), through: await outcome(() => one(through)) }
        : { direct: { value: one.expect }, through: await outcome(() => one.run(through)) };
  }
  console.log(JSON.stringify(seen));
};

/** What an error is, in what both ways must agree on: what is said may differ. */
export const classOf = async (call) => {
  try {
    await call();
    return "none";
  } catch (error) {
    return error.constructor.name;
  }
};

export const classAndStatus = async (call) => {
  try {
    await call();
    return "none";
  } catch (error) {
    return [error.constructor.name, error.status ?? error.statusCode ?? null];
  }
};

/** A fetch that keeps what was answered. */
export const watched = () => {
  const answers = [];
  return {
    answers,
    fetch: async (...args) => {
      const response = await fetch(...args);
      answers.push({ at: Date.now(), status: response.status, headers: Object.fromEntries(response.headers) });
      return response;
    },
  };
};

/**
 * A key that may call once a second, spent: what the client read on the 429, and that
 * its own retry came after the wait and succeeded.
 */
export const waited = ({ answers }, name) => {
  const refused = answers.filter((a) => a.status === 429);
  const last = answers.at(-1);
  const after = Number(refused[0]?.headers["retry-after"]);
  return {
    refused: refused.length > 0,
    told: after >= 1 && after <= 2 && Object.keys(refused[0].headers).some((h) => h.startsWith(name)),
    waited: last.at - refused[0]?.at >= after * 1000 - 250,
    succeeded: last.status === 200,
  };
};

export const waitedWell = { refused: true, told: true, waited: true, succeeded: true };
