// LangChain.js with its OpenAI and Anthropic packages.
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { all, classOf, own, pixel, run, words } from "./harness.mjs";

const openai = (way, model, more = {}) => new ChatOpenAI({ model, apiKey: way.key, maxRetries: 0, configuration: { baseURL: way.openai }, ...more });
const anthropic = (way, model, more = {}) => new ChatAnthropic({ model, apiKey: way.key, anthropicApiUrl: way.anthropic, maxRetries: 0, maxTokens: 4096, ...more });
const schema = z.object({ city: z.string(), days: z.number().int(), units: z.enum(["metric", "imperial"]) });
const tools = [
  { name: "get_weather", description: "The weather of a city", schema },
  { name: "get_time", description: "The time", schema: z.object({}) },
];
const said = (m) => ({ text: m.text, calls: m.tool_calls?.map((c) => [c.name, c.args]), usage: m.usage_metadata, ended: m.response_metadata?.finish_reason ?? m.response_metadata?.stop_reason ?? m.additional_kwargs?.stop_reason });
const gathered = (chunks) => said(chunks.reduce((sum, next) => sum.concat(next)));
const question = [new SystemMessage("Be kind."), new HumanMessage(words)];
const wanted = "Call get_weather and get_time, please.";
const vision = [new HumanMessage({ content: [{ type: "text", text: "What?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}` } }] })];
const meaning = ({ text, calls, usage }) => [text, calls, usage.input_tokens, usage.output_tokens];

const round = async (model) => {
  const bound = model.bindTools(tools);
  const messages = [new HumanMessage(wanted)];
  const first = await bound.invoke(messages);
  messages.push(first, ...first.tool_calls.map((c) => new ToolMessage({ tool_call_id: c.id, content: `${c.name}: sunny` })));
  return [said(first), said(await bound.invoke(messages))];
};

const cases = {};
for (const [name, of, model, other] of [["ChatOpenAI", openai, "sim-fast", "claude-fast"], ["ChatAnthropic", anthropic, "claude-fast", "sim-fast"]]) {
  const broken = `${own}${of === openai ? "" : "-claude"}-broken`;
  Object.assign(cases, {
    [`${name}: invoke`]: async (way) => said(await of(way, model).invoke(question)),
    [`${name}: stream`]: async (way) => gathered(await all(await of(way, model).stream(question))),
    [`${name}: chunks`]: async (way) => (await all(await of(way, model).stream(question))).map((c) => c.text),
    [`${name}: batch`]: async (way) => (await of(way, model).batch([question, wanted])).map(said),
    [`${name}: tools`]: async (way) => said(await of(way, model).bindTools(tools).invoke(wanted)),
    [`${name}: tools, streamed`]: async (way) => gathered(await all(await of(way, model).bindTools(tools).stream(wanted))),
    [`${name}: tools, their results`]: (way) => round(of(way, model)),
    [`${name}: structured output`]: (way) => of(way, model).withStructuredOutput(schema, { name: "weather" }).invoke(words),
    [`${name}: vision`]: async (way) => said(await of(way, model).invoke(vision)),
    [`${name}: error of the key`]: (way) => classOf(() => of({ ...way, key: "kk_1_nonsense" }, model).invoke(words)),
    [`${name}: error of the provider`]: (way) => classOf(() => of(way, broken).invoke(words)),
    [`${name}: cross, invoke`]: async (way) => meaning(said(await of(way, other).invoke(question))),
    // What a stream counts comes at its end, where ChatAnthropic does not look for the prompt.
    [`${name}: cross, stream`]: async (way) => meaning(gathered(await all(await of(way, other).stream(question)))).slice(0, 2),
    [`${name}: cross, tools and results`]: async (way) => (await round(of(way, other))).map(meaning),
  });
}
cases["ChatOpenAI: responses"] = async (way) => said(await openai(way, "sim-fast", { useResponsesApi: true }).invoke(question));
cases["ChatOpenAI: responses, streamed"] = async (way) => gathered(await all(await openai(way, "sim-fast", { useResponsesApi: true }).stream(question)));
cases["ChatAnthropic: thoughts"] = async (way) => said(await anthropic(way, "claude-fast", { thinking: { type: "enabled", budget_tokens: 1024 } }).invoke(words));
cases["OpenAIEmbeddings"] = async (way) =>
  new OpenAIEmbeddings({ model: "sim-vectors", apiKey: way.key, dimensions: 16, configuration: { baseURL: way.openai } }).embedDocuments(["one", "two three"]);

await run(cases);
