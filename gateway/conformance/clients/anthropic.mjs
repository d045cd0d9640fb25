// The official Anthropic client.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { all, classAndStatus, classOf, clock, enqueue, keys, own, pixel, run, waited, waitedWell, watched, weather, words } from "./harness.mjs";

const client = (way, more = {}) => new Anthropic({ baseURL: way.anthropic, apiKey: way.key, authToken: null, maxRetries: 0, timeout: 30_000, ...more });
const ask = (model, content = words) => ({ model, max_tokens: 4096, messages: [{ role: "user", content }] });
const tools = [
  { name: "get_weather", description: "The weather of a city", input_schema: weather },
  { name: "get_time", input_schema: clock },
];
const toolAsk = (model) => ({ ...ask(model, "Call get_weather and get_time, please."), tools });
const Weather = z.object({ city: z.string(), days: z.number().int(), units: z.enum(["metric", "imperial"]) });

const meaning = (m) => ({
  content: m.content.map((b) => [b.type, b.text, b.thinking, b.name, b.input]),
  stop: [m.stop_reason, m.stop_sequence],
  usage: [m.usage.input_tokens, m.usage.output_tokens],
});
const whole = async (way, params) => meaning(await client(way).messages.create(params));
const assembled = async (way, params) => meaning(await client(way).messages.stream(params).finalMessage());
const round = async (way, model) => {
  const messages = [{ role: "user", content: "Call get_weather and get_time, please." }];
  const first = await client(way).messages.create({ model, max_tokens: 4096, system: "Be kind.", messages, tools });
  messages.push(
    { role: "assistant", content: first.content },
    { role: "user", content: first.content.filter((b) => b.type === "tool_use").map((b) => ({ type: "tool_result", tool_use_id: b.id, content: `${b.name}: sunny` })) },
  );
  return [meaning(first), await whole(way, { model, max_tokens: 4096, system: "Be kind.", messages, tools })];
};
const image = { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } };

await run({
  messages: (way) => client(way).messages.create({ ...ask("claude-fast"), system: "Be kind.", metadata: { user_id: "u1" } }),
  "messages, streamed": async (way) => all(await client(way).messages.create({ ...ask("claude-fast"), stream: true })),
  "messages, streaming helper": async (way) => {
    const events = [];
    const stream = client(way).messages.stream(ask("claude-fast"));
    for (const name of ["connect", "text", "contentBlock", "message", "finalMessage", "end"]) stream.on(name, (...args) => events.push([name, typeof args[0]]));
    return [await stream.finalMessage(), await stream.finalText(), events];
  },
  "system in blocks": (way) => client(way).messages.create({ ...ask("claude-fast"), system: [{ type: "text", text: "Be kind." }, { type: "text", text: "Be short." }] }),
  "tools in parallel": (way) => client(way).messages.create(toolAsk("claude-fast")),
  "tools, streamed": async (way) => all(await client(way).messages.create({ ...toolAsk("claude-fast"), stream: true })),
  "tools, one at a time": (way) => client(way).messages.create({ ...toolAsk("claude-fast"), tool_choice: { type: "auto", disable_parallel_tool_use: true } }),
  "tools, forced": (way) => client(way).messages.create({ ...toolAsk("claude-fast"), tool_choice: { type: "tool", name: "get_time" } }),
  "tools, their results": (way) => round(way, "claude-fast"),
  "JSON of a schema": (way) => client(way).messages.parse({ ...ask("claude-fast"), output_config: { format: zodOutputFormat(Weather) } }),
  vision: (way) => client(way).messages.create(ask("claude-fast", [{ type: "text", text: "What?" }, image, { type: "image", source: { type: "url", url: "https://example.com/a.png" } }])),
  thoughts: (way) => client(way).messages.create({ ...ask("claude-fast"), thinking: { type: "enabled", budget_tokens: 1024 } }),
  "thoughts, streamed": async (way) => all(await client(way).messages.create({ ...ask("claude-fast"), thinking: { type: "enabled", budget_tokens: 1024 }, stream: true })),
  "prompt cache": (way) =>
    client(way).messages.create({
      ...ask("claude-fast", [{ type: "text", text: "word ".repeat(1200), cache_control: { type: "ephemeral", ttl: "1h" } }]),
      system: [{ type: "text", text: "rule ".repeat(1200), cache_control: { type: "ephemeral" } }],
    }),
  limit: (way) => client(way).messages.create({ ...ask("claude-fast"), max_tokens: 5 }),
  "stop sequences": (way) => client(way).messages.create({ ...ask("claude-nine"), stop_sequences: [" four", " six"] }),
  refusal: async (way) => [await client(way).messages.create(ask("claude-refusal")), await all(await client(way).messages.create({ ...ask("claude-refusal"), stream: true }))],
  "torn frames": async (way) => all(await client(way).messages.create({ ...ask("claude-torn"), stream: true })),
  "torn characters": async (way) => all(await client(way).messages.create({ ...ask("claude-torn-runes"), stream: true })),
  "lines ended by CR LF": async (way) => all(await client(way).messages.create({ ...ask("claude-crlf"), stream: true })),
  "count of tokens": (way) => client(way).messages.countTokens({ model: "claude-fast", system: "Be kind.", messages: [{ role: "user", content: [{ type: "text", text: words }, image] }], tools }),
  "list of models": async (way) => {
    const one = await client(way).models.retrieve("claude-fast");
    return [one.type, one.id, (await all(client(way).models.list())).some((m) => m.id === "claude-fast")];
  },
  "former version of the API": (way) =>
    client(way, { defaultHeaders: { "anthropic-version": "2023-06-01", "x-api-key": way.key, authorization: null } }).messages.create({ ...ask("claude-fast"), temperature: 0.5 }),
  "error: key": (way) => classAndStatus(() => client(way, { apiKey: "kk_1_nonsense" }).messages.create(ask("claude-fast"))),
  "error: model": (way) => classAndStatus(() => client(way).messages.create(ask("claude-unknown"))),
  "error: request": (way) => classAndStatus(() => client(way).messages.create({ model: "claude-fast", max_tokens: 9, messages: [] })),
  "error: what the API's version no longer takes": (way) => classAndStatus(() => client(way).messages.create({ ...ask("claude-fast"), temperature: 0.5 })),
  "error: no limit": (way) => classAndStatus(() => client(way).messages.create({ model: "claude-fast", messages: [{ role: "user", content: "x" }] })),
  "error: tool without result": (way) =>
    classAndStatus(() => client(way).messages.create({ ...ask("claude-fast"), messages: [{ role: "user", content: "x" }, { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "f", input: {} }] }] })),
  "error: provider busy": (way) => classAndStatus(() => client(way).messages.create(ask(`${own}-claude-busy`))),
  "error: provider broken": (way) => classOf(() => client(way).messages.create(ask(`${own}-claude-broken`))),
  "error: inside a stream": (way) => classOf(async () => all(await client(way).messages.create({ ...ask(`${own}-claude-fails`), stream: true }))),
  "error: no balance": { expect: ["PaymentRequiredError", 402], run: (way) => classAndStatus(() => client(way, { apiKey: keys.poor }).messages.create(ask("claude-fast"))) },
  "retries a 429 when told": {
    expect: waitedWell,
    run: async (way) => {
      const watch = watched();
      const spent = client(way, { apiKey: keys.limited, maxRetries: 3, fetch: watch.fetch });
      await Promise.all([spent.messages.create(ask("claude-fast")), spent.messages.create(ask("claude-fast"))]);
      return waited(watch, "anthropic-ratelimit-");
    },
  },
  "retries a 529": async (way) => {
    await enqueue({ Status: 529 });
    return (await client(way, { maxRetries: 2 }).messages.create(ask(`${own}-claude-flaky`))).content[0].text;
  },
  "cross: messages": (way) => whole(way, { ...ask("sim-fast"), system: "Be kind." }),
  "cross: messages streamed": (way) => assembled(way, ask("sim-fast")),
  "cross: events": async (way) => (await all(await client(way).messages.create({ ...ask("sim-fast"), stream: true }))).map((e) => [e.type, e.index, e.delta?.type]),
  "cross: tools": (way) => whole(way, toolAsk("sim-fast")),
  "cross: tools streamed": (way) => assembled(way, toolAsk("sim-fast")),
  "cross: tools and results": (way) => round(way, "sim-fast"),
  "cross: vision": (way) => whole(way, ask("sim-fast", [{ type: "text", text: "What?" }, image])),
  "cross: JSON of a schema": async (way) => (await client(way).messages.parse({ ...ask("sim-fast"), output_config: { format: zodOutputFormat(Weather) } })).parsed_output,
  "cross: limit": (way) => whole(way, { ...ask("sim-fast"), max_tokens: 5 }),
  "cross: error": (way) => classOf(() => client(way).messages.create(ask(`${own}-broken`))),
});
