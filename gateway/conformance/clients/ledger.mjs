// The official client against the server at BASE_URL. Prints, as JSON, what it
// saw: objects, classes of errors, and every cost in USD as a decimal string.
import OpenAI from "openai";

const { BASE_URL, API_KEY, POOR_KEY, LIMITED_KEY } = process.env;
const client = (apiKey) => new OpenAI({ baseURL: BASE_URL, apiKey, maxRetries: 0, timeout: 30_000 });
const api = client(API_KEY);
const messages = [{ role: "user", content: "Say something, bitte: „größer“ 漢字 🙂" }];
const seen = { costs: [], texts: {}, errors: {}, models: [] };

// The cost is a JSON number with at most nine decimals, far below 2^53 of them.
const decimal = (cost) => cost.toFixed(9);

{
  const { data, response, request_id } = await api.chat.completions
    .create({ model: "sim-fast", messages, n: 2, temperature: 0.5, unknown_field: { kept: true } })
    .withResponse();
  seen.texts.whole = data.choices.map((c) => c.message.content);
  seen.costs.push(decimal(data.usage.cost));
  seen.header = response.headers.get("x-cost-usd");
  seen.requestID = request_id;
  seen.object = data.object;
}

const collect = async (stream) => {
  let text = "";
  let usage = null;
  let finish = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  return { text, usage, finish };
};

{
  const got = await collect(
    await api.chat.completions.create({ model: "sim-fast", messages, stream: true, stream_options: { include_usage: true } }),
  );
  seen.texts.streamed = got.text;
  seen.finish = got.finish;
  seen.costs.push(decimal(got.usage.cost));
}
{
  const got = await collect(await api.chat.completions.create({ model: "sim-torn", messages, stream: true }));
  seen.texts.torn = got.text;
  seen.unasked = got.usage; // nobody asked for it
}
{
  const runner = api.chat.completions.stream({ model: "sim-fast", messages, max_completion_tokens: 5, stream_options: { include_usage: true } });
  const final = await runner.finalChatCompletion();
  seen.texts.helper = final.choices[0].message.content;
  seen.length = final.choices[0].finish_reason;
  seen.costs.push(decimal((await runner.totalUsage(), final.usage).cost));
}

for await (const model of api.models.list()) seen.models.push(model.id);
seen.model = (await api.models.retrieve("sim-fast")).id;

const failing = {
  badKey: () => client("kk_1_nonsense").models.list(),
  unknownModel: () => api.chat.completions.create({ model: "nothing", messages }),
  badRequest: () => api.chat.completions.create({ model: "sim-fast", messages: [] }),
  refused: () => api.chat.completions.create({ model: "sim-error-400", messages }),
  noBalance: () => client(POOR_KEY).chat.completions.create({ model: "sim-fast", messages }),
  limited: () => client(LIMITED_KEY).models.list(),
  providerBusy: () => api.chat.completions.create({ model: "sim-429", messages }),
  providerBroken: () => api.chat.completions.create({ model: "sim-error-500", messages }),
  insideStream: async () => collect(await api.chat.completions.create({ model: "sim-error-stream", messages, stream: true })),
};
await client(LIMITED_KEY).models.list();
for (const [name, call] of Object.entries(failing)) {
  try {
    await call();
    seen.errors[name] = "none";
  } catch (error) {
    seen.errors[name] = `${error.constructor.name} ${error.status ?? "-"} ${error.code ?? "-"}`;
  }
}

console.log(JSON.stringify(seen));
