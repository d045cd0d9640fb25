// The official OpenAI client.
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { all, classAndStatus, classOf, clock, enqueue, keys, own, pixel, run, waited, waitedWell, watched, wav, weather, words } from "./harness.mjs";

const client = (way, more = {}) => new OpenAI({ baseURL: way.openai, apiKey: way.key, maxRetries: 0, timeout: 30_000, ...more });
const ask = (model, content = words) => ({ model, messages: [{ role: "user", content }] });
const tools = [
  { type: "function", function: { name: "get_weather", description: "The weather of a city", parameters: weather, strict: true } },
  { type: "function", function: { name: "get_time", parameters: clock } },
];
const toolAsk = (model) => ({ ...ask(model, "Call get_weather and get_time, please."), tools });
const streamed = { stream: true, stream_options: { include_usage: true } };
const Weather = z.object({ city: z.string(), days: z.number().int(), units: z.enum(["metric", "imperial"]) });

// What a chat comes to, whoever answered: texts, calls, why it ended, what it counts.
const meaning = (c) => ({
  choices: c.choices.map((o) => ({
    text: o.message.content,
    calls: (o.message.tool_calls ?? []).map((t) => [t.type, t.function.name, JSON.parse(t.function.arguments)]),
    finish: o.finish_reason,
  })),
  usage: [c.usage.prompt_tokens, c.usage.completion_tokens, c.usage.total_tokens],
});
const assembled = async (way, params) => meaning(await client(way).chat.completions.stream({ ...params, stream_options: { include_usage: true } }).finalChatCompletion());
const whole = async (way, params) => meaning(await client(way).chat.completions.create(params));
const round = async (way, model) => {
  const messages = [{ role: "system", content: "Be kind." }, { role: "user", content: "Call get_weather and get_time, please." }];
  const first = await client(way).chat.completions.create({ model, messages, tools });
  const { content, tool_calls } = first.choices[0].message;
  messages.push({ role: "assistant", content, tool_calls });
  for (const call of tool_calls) messages.push({ role: "tool", tool_call_id: call.id, content: `${call.function.name}: sunny` });
  return [meaning(first), await whole(way, { model, messages, tools })];
};
const respond = (model, input = words) => ({ model, input });
const responseTools = tools.map(({ function: f }) => ({ type: "function", strict: false, ...f }));
const said = (r) => ({
  text: r.output_text,
  items: r.output.map((i) => [i.type, i.name, i.arguments && JSON.parse(i.arguments)]),
  status: r.status,
  usage: [r.usage.input_tokens, r.usage.output_tokens, r.usage.total_tokens],
});

await run({
  chat: (way) => client(way).chat.completions.create({ ...ask("sim-fast"), n: 2, seed: 7, temperature: 0.5, unknown_field: { kept: true } }),
  "chat, streamed": async (way) => all(await client(way).chat.completions.create({ ...ask("sim-fast"), ...streamed })),
  "chat, streaming helper": async (way) => {
    const events = [];
    const runner = client(way).chat.completions.stream({ ...ask("sim-fast"), stream_options: { include_usage: true } });
    for (const name of ["connect", "content", "content.done", "message", "finalContent", "end"]) runner.on(name, (...args) => events.push([name, typeof args[0]]));
    return [await runner.finalChatCompletion(), events];
  },
  "tools in parallel": (way) => client(way).chat.completions.create(toolAsk("sim-fast")),
  "tools, streamed": async (way) => all(await client(way).chat.completions.create({ ...toolAsk("sim-fast"), ...streamed })),
  "tools, one at a time": (way) => client(way).chat.completions.create({ ...toolAsk("sim-fast"), parallel_tool_calls: false }),
  "tools, forced": (way) => client(way).chat.completions.create({ ...toolAsk("sim-fast"), tool_choice: { type: "function", function: { name: "get_time" } } }),
  "tools, their results": (way) => round(way, "sim-fast"),
  "tools, run by the client": async (way) => {
    const runner = client(way).chat.completions.runTools({
      ...ask("sim-fast", "What says get_weather?"),
      tools: [{ type: "function", function: { name: "get_weather", parameters: weather, parse: JSON.parse, function: ({ city }) => `sunny in ${city}` } }],
    });
    return [await runner.finalContent(), runner.messages.map((m) => m.role), await runner.totalUsage()];
  },
  "JSON of a schema": (way) => client(way).chat.completions.parse({ ...ask("sim-fast"), response_format: zodResponseFormat(Weather, "weather") }),
  vision: (way) =>
    client(way).chat.completions.create(
      ask("sim-fast", [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
        { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } },
      ]),
    ),
  "likelihoods, streamed": async (way) => all(await client(way).chat.completions.create({ ...ask("sim-tokens-9"), logprobs: true, top_logprobs: 2, ...streamed })),
  likelihoods: (way) => client(way).chat.completions.create({ ...ask("sim-tokens-9"), logprobs: true, top_logprobs: 2 }),
  limit: (way) => client(way).chat.completions.create({ ...ask("sim-fast"), max_completion_tokens: 5 }),
  "stop sequences": (way) => client(way).chat.completions.create({ ...ask("sim-tokens-9"), stop: [" four", " six"] }),
  thoughts: async (way) => [
    await client(way).chat.completions.create({ ...ask("sim-reveals"), reasoning_effort: "low" }),
    await all(await client(way).chat.completions.create({ ...ask("sim-reveals"), ...streamed })),
  ],
  refusal: async (way) => [await client(way).chat.completions.create(ask("sim-refusal")), await all(await client(way).chat.completions.create({ ...ask("sim-refusal"), ...streamed }))],
  sounds: (way) =>
    client(way).chat.completions.create({
      ...ask("sim-fast", [{ type: "text", text: "Listen" }, { type: "input_audio", input_audio: { data: wav().toString("base64"), format: "wav" } }]),
      modalities: ["text", "audio"],
      audio: { voice: "alloy", format: "pcm16" },
    }),
  "torn frames": async (way) => all(await client(way).chat.completions.create({ ...ask("sim-torn"), ...streamed })),
  "torn characters": async (way) => all(await client(way).chat.completions.create({ ...ask("sim-torn-runes"), ...streamed })),
  "lines ended by CR LF": async (way) => all(await client(way).chat.completions.create({ ...ask("sim-crlf"), ...streamed })),
  "list of models": async (way) => {
    const one = await client(way).models.retrieve("sim-fast");
    return [one.id, one.object, typeof one.created, (await all(client(way).models.list())).some((m) => m.id === "sim-fast")];
  },
  "error: key": (way) => classAndStatus(() => client(way, { apiKey: "kk_1_nonsense" }).chat.completions.create(ask("sim-fast"))),
  "error: model": (way) => classAndStatus(() => client(way).chat.completions.create(ask("sim-unknown"))),
  "error: request": (way) => classAndStatus(() => client(way).chat.completions.create({ model: "sim-fast", messages: [] })),
  "error: tool without result": (way) =>
    classAndStatus(() =>
      client(way).chat.completions.create({
        model: "sim-fast",
        messages: [{ role: "user", content: "x" }, { role: "assistant", content: null, tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }] }],
      }),
    ),
  "error: image of a wrong kind": (way) => classAndStatus(() => client(way).chat.completions.create(ask("sim-fast", [{ type: "image_url", image_url: { url: "data:image/tiff;base64,AAAA" } }]))),
  "error: provider busy": (way) => classAndStatus(() => client(way).chat.completions.create(ask(`${own}-busy`))),
  "error: provider broken": (way) => classOf(() => client(way).chat.completions.create(ask(`${own}-broken`))),
  "error: inside a stream": (way) => classOf(async () => all(await client(way).chat.completions.create({ ...ask(`${own}-fails`), stream: true }))),
  "error: no balance": { expect: ["APIError", 402], run: (way) => classAndStatus(() => client(way, { apiKey: keys.poor }).chat.completions.create(ask("sim-fast"))) },
  "retries a 429 when told": {
    expect: waitedWell,
    run: async (way) => {
      const watch = watched();
      const spent = client(way, { apiKey: keys.limited, maxRetries: 3, fetch: watch.fetch });
      await Promise.all([spent.chat.completions.create(ask("sim-fast")), spent.chat.completions.create(ask("sim-fast"))]);
      return waited(watch, "x-ratelimit-");
    },
  },
  "retries a 503": async (way) => {
    await enqueue({ Status: 503 });
    return (await client(way, { maxRetries: 2 }).chat.completions.create(ask(`${own}-flaky`))).choices[0].message.content;
  },
  embeddings: (way) => client(way).embeddings.create({ model: "sim-vectors", input: ["one", "two three"], dimensions: 16 }),
  "embeddings of tokens": (way) => client(way).embeddings.create({ model: "sim-vectors", input: [[1, 2, 3], [4]], encoding_format: "float", dimensions: 16 }),
  images: (way) => client(way).images.generate({ model: "gpt-image-sim", prompt: "a red cat", n: 2, size: "1024x1024", quality: "low" }),
  speech: async (way) => {
    const spoken = await client(way).audio.speech.create({ model: "sim-speech", voice: "alloy", input: "one two three", response_format: "wav" });
    return [spoken.headers.get("content-type"), (await spoken.arrayBuffer()).byteLength];
  },
  transcription: async (way) => client(way).audio.transcriptions.create({ model: "sim-transcribe", file: await toFile(wav(), "said.wav") }),
  "transcription with times": async (way) => client(way).audio.transcriptions.create({ model: "sim-transcribe", file: await toFile(wav(), "said.wav"), response_format: "verbose_json", language: "en" }),
  "transcription, streamed": async (way) => all(await client(way).audio.transcriptions.create({ model: "sim-transcribe", file: await toFile(wav(), "said.wav"), stream: true })),
  "transcription, not streamed when asked": async (way) => {
    const hear = async (more) => client(way).audio.transcriptions.create({ model: "sim-whisper", file: await toFile(wav(), "said.wav"), stream: true, ...more });
    const answered = async (more) => {
      const response = await client(way).audio.transcriptions.create({ model: "sim-whisper", file: await toFile(wav(), "said.wav"), stream: true, ...more }).asResponse();
      const text = await response.text();
      return [response.headers.get("content-type"), more.response_format === "srt" ? text : JSON.parse(text)];
    };
    return [await all(await hear({})), await answered({}), await answered({ response_format: "verbose_json" }), await answered({ response_format: "srt" })];
  },
  responses: (way) => client(way).responses.create({ ...respond("sim-fast"), instructions: "Be kind.", metadata: { a: "b" } }),
  "responses, streamed": async (way) => all(await client(way).responses.create({ ...respond("sim-fast"), stream: true })),
  "responses, streaming helper": async (way) => {
    const stream = client(way).responses.stream(respond("sim-fast"));
    const kinds = (await all(stream)).map((e) => e.type);
    return [kinds, await stream.finalResponse()];
  },
  "responses, tools": (way) => client(way).responses.create({ ...respond("sim-fast", "Call get_weather and get_time, please."), tools: responseTools }),
  "responses, tools streamed": async (way) => all(await client(way).responses.create({ ...respond("sim-fast", "Call get_weather, please."), tools: responseTools, stream: true })),
  "responses, tools and results": async (way) => {
    const input = [{ role: "user", content: "Call get_weather, please." }];
    const first = await client(way).responses.create({ model: "sim-fast", input, tools: responseTools });
    const call = first.output[0];
    input.push(call, { type: "function_call_output", call_id: call.call_id, output: "sunny" });
    return said(await client(way).responses.create({ model: "sim-fast", input, tools: responseTools }));
  },
  "responses, JSON of a schema": async (way) => (await client(way).responses.parse({ ...respond("sim-fast"), text: { format: zodTextFormat(Weather, "weather") } })).output_parsed,
  "responses, thoughts": (way) => client(way).responses.create({ ...respond("sim-reasoning"), reasoning: { effort: "low", summary: "auto" } }),
  "responses, vision": (way) =>
    client(way).responses.create(respond("sim-fast", [{ role: "user", content: [{ type: "input_text", text: "What?" }, { type: "input_image", detail: "auto", image_url: `data:image/png;base64,${pixel}` }] }])),
  "responses, error": (way) => classAndStatus(() => client(way).responses.create(respond("sim-unknown"))),
  "cross: chat": (way) => whole(way, { model: "claude-fast", messages: [{ role: "system", content: "Be kind." }, { role: "user", content: words }] }),
  "cross: chat streamed": (way) => assembled(way, ask("claude-fast")),
  "cross: tools": (way) => whole(way, toolAsk("claude-fast")),
  "cross: tools streamed": (way) => assembled(way, toolAsk("claude-fast")),
  "cross: tools and results": (way) => round(way, "claude-fast"),
  "cross: vision": (way) => whole(way, ask("claude-fast", [{ type: "text", text: "What?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } }])),
  "cross: JSON of a schema": async (way) => (await client(way).chat.completions.parse({ ...ask("claude-fast"), response_format: zodResponseFormat(Weather, "weather") })).choices[0].message.parsed,
  "cross: limit and stop": async (way) => [await whole(way, { ...ask("claude-fast"), max_completion_tokens: 5 }), await whole(way, { ...ask("claude-nine"), stop: [" four"] })],
  "cross: error": (way) => classOf(() => client(way).chat.completions.create(ask(`${own}-claude-broken`))),
  "cross: responses": async (way) => said(await client(way).responses.create({ ...respond("claude-fast"), instructions: "Be kind." })),
  "cross: responses streamed": async (way) => said(await client(way).responses.stream(respond("claude-fast")).finalResponse()),
});
