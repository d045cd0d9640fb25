// Vercel's AI SDK with its OpenAI and Anthropic providers.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, experimental_generateImage as generateImage, experimental_generateSpeech as generateSpeech, experimental_transcribe as transcribe, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { all, classAndStatus, classOf, own, pixel, run, wav, words } from "./harness.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = (way) => createOpenAI({ baseURL: way.openai, apiKey: way.key });
const chat = (way, model) => openai(way).chat(model);
const responses = (way, model) => openai(way).responses(model);
const claude = (way, model) => createAnthropic({ baseURL: `${way.anthropic}/v1`, apiKey: way.key })(model);
const schema = z.object({ city: z.string(), days: z.number().int(), units: z.enum(["metric", "imperial"]) });
const tools = {
  get_weather: tool({ description: "The weather of a city", inputSchema: schema, execute: async ({ city }) => `sunny in ${city}` }),
  get_time: tool({ description: "The time", inputSchema: z.object({}), execute: async () => "noon" }),
};
const wanted = "Call get_weather and get_time, please.";
const vision = [{ role: "user", content: [{ type: "text", text: "What?" }, { type: "image", image: Buffer.from(pixel, "base64"), mediaType: "image/png" }] }];
const counted = ({ inputTokens, outputTokens, totalTokens, reasoningTokens, cachedInputTokens }) => ({ inputTokens, outputTokens, totalTokens, reasoningTokens, cachedInputTokens });
const said = (r) => ({
  text: r.text,
  thoughts: r.reasoningText,
  steps: r.steps.map((s) => [s.finishReason, s.toolCalls.map((c) => [c.toolName, c.input]), s.toolResults.map((t) => t.output), counted(s.usage)]),
});
const meaning = (r) => ({ text: r.text, steps: r.steps.map((s) => [s.finishReason, s.toolCalls.map((c) => [c.toolName, c.input]), s.usage.inputTokens, s.usage.outputTokens]) });
const ask = (model, more = {}) => generateText({ model, maxRetries: 0, system: "Be kind.", prompt: words, ...more });
const flow = async (model, more = {}) => {
  const result = streamText({ model, maxRetries: 0, system: "Be kind.", prompt: words, onError: () => {}, ...more });
  const parts = (await all(result.fullStream)).map((p) => [p.type, p.text ?? p.delta ?? p.toolName ?? p.finishReason]);
  return { parts, text: await result.text, usage: counted(await result.totalUsage) };
};

/** Two turns, the second with all that came of the first; nothing is stored between them. */
const stateless = { providerOptions: { openai: { store: false } } };
const turns = async (model, answer, more = {}) => {
  const asked = [{ role: "user", content: more.tools ? wanted : words }];
  const first = await answer({ model, messages: asked, ...more });
  const messages = [...asked, ...(await first.response).messages, { role: "user", content: "And again, please." }];
  return [first, await answer({ model, messages, ...more })];
};
const whole = (options) => generateText({ maxRetries: 0, system: "Be kind.", ...stateless, ...options });
const streamed = async (options) => {
  const result = streamText({ maxRetries: 0, system: "Be kind.", onError: () => {}, ...stateless, ...options });
  const parts = (await all(result.fullStream)).map((p) => [p.type, p.text ?? p.delta ?? p.toolName ?? p.finishReason]);
  return { parts, response: await result.response, usage: counted(await result.totalUsage) };
};
const thinking = { providerOptions: { openai: { store: false, forceReasoning: true, reasoningSummary: "auto", reasoningEffort: "low" } } };
const sealed = async (made) => {
  const first = (await made[0].response).messages.flatMap((m) => m.content);
  if (!first.some((p) => p.type === "reasoning" && p.providerOptions.openai.reasoningEncryptedContent)) throw new Error("no sealed thought");
  return made;
};
const rounds = { tools, stopWhen: stepCountIs(3) };

const cases = {};
for (const [name, of, model, other] of [["chat", chat, "sim-fast", "claude-fast"], ["responses", responses, "sim-fast", "claude-fast"], ["anthropic", claude, "claude-fast", "sim-fast"]]) {
  const broken = `${own}${of === claude ? "-claude" : ""}-${name}-broken`;
  Object.assign(cases, {
    [`${name}: generateText`]: async (way) => said(await ask(of(way, model))),
    [`${name}: streamText`]: (way) => flow(of(way, model)),
    [`${name}: tools`]: async (way) => said(await ask(of(way, model), { prompt: wanted, tools, stopWhen: stepCountIs(3) })),
    [`${name}: tools, streamed`]: (way) => flow(of(way, model), { prompt: wanted, tools, stopWhen: stepCountIs(3) }),
    [`${name}: generateObject`]: async (way) => (await generateObject({ model: of(way, model), maxRetries: 0, prompt: words, schema })).object,
    [`${name}: vision`]: async (way) => said(await generateText({ model: of(way, model), maxRetries: 0, messages: vision })),
    [`${name}: error of the key`]: (way) => classAndStatus(() => ask(of({ ...way, key: "kk_1_nonsense" }, model))),
    [`${name}: error of the provider`]: (way) => classOf(() => ask(of(way, broken))),
    [`${name}: cross, generateText`]: async (way) => meaning(await ask(of(way, other))),
    [`${name}: cross, streamText`]: async (way) => (await flow(of(way, other))).text,
    [`${name}: cross, tools`]: async (way) => meaning(await ask(of(way, other), { prompt: wanted, tools, stopWhen: stepCountIs(3) })),
  });
}
Object.assign(cases, {
  "responses: two turns": async (way) => (await turns(responses(way, "sim-fast"), whole)).map(said),
  "responses: two turns, streamed": async (way) => (await turns(responses(way, "sim-fast"), streamed)).map((r) => [r.parts, r.usage]),
  "responses: two turns, tools": async (way) => (await turns(responses(way, "sim-fast"), whole, rounds)).map(said),
  "responses: two turns, tools streamed": async (way) => (await turns(responses(way, "sim-fast"), streamed, rounds)).map((r) => [r.parts, r.usage]),
  "responses: two turns, thoughts": async (way) => (await turns(responses(way, "sim-reasoning"), whole)).map(said),
  "responses: two turns, thoughts streamed": async (way) => (await turns(responses(way, "sim-reasoning"), streamed)).map((r) => [r.parts, r.usage]),
  "responses: two turns, sealed thoughts": async (way) => (await sealed(await turns(responses(way, "sim-reasoning"), whole, thinking))).map(said),
  "responses: two turns, sealed thoughts streamed": async (way) => (await sealed(await turns(responses(way, "sim-reasoning"), streamed, { ...thinking, ...rounds }))).map((r) => [r.parts, r.usage]),
  "responses: cross, two turns, sealed thoughts": async (way) => (await sealed(await turns(responses(way, "claude-fast"), whole, thinking))).map((r) => r.text),
  "responses: cross, two turns, sealed thoughts and tools": async (way) => (await sealed(await turns(responses(way, "claude-fast"), whole, { ...thinking, ...rounds }))).map((r) => [r.text, r.steps.map((s) => s.toolCalls.map((c) => [c.toolName, c.input]))]),
  "responses: cross, two turns": async (way) => (await turns(responses(way, "claude-fast"), whole)).map(meaning),
  "responses: cross, two turns, tools": async (way) => (await turns(responses(way, "claude-fast"), whole, rounds)).map(meaning),
  "responses: error of a turn that was not stored": { expect: ["APICallError", 400], run: (way) => classAndStatus(() => turns(responses(way, "sim-fast"), (options) => whole({ ...options, providerOptions: {} }))) },
});
cases["anthropic: thoughts"] = async (way) => said(await ask(claude(way, "claude-fast"), { maxOutputTokens: 4096, providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } }));
cases["embedMany"] = async (way) => {
  const { embeddings, usage } = await embedMany({ model: openai(way).textEmbeddingModel("sim-vectors"), values: ["one", "two three"], providerOptions: { openai: { dimensions: 16 } } });
  return [embeddings, usage];
};
cases["generateImage"] = async (way) => {
  const { images } = await generateImage({ model: openai(way).image("gpt-image-sim"), prompt: "a red cat", n: 2, size: "1024x1024", maxRetries: 0 });
  return images.map((i) => [i.mediaType, i.base64]);
};
cases["generateSpeech"] = async (way) => (await generateSpeech({ model: openai(way).speech("sim-speech"), text: "one two three", voice: "alloy", maxRetries: 0 })).audio.uint8Array.length;
cases["transcribe"] = async (way) => (await transcribe({ model: openai(way).transcription("sim-transcribe"), audio: wav(), maxRetries: 0 })).text;

await run(cases);
