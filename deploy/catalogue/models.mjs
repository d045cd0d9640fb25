// What the default catalogue offers, and what the price package does not tell: where
// providers are, how much a model takes and gives, and prices of media.
//
// A model is [id at the provider, facts]. Facts:
//   id         what clients ask for; the provider's id unless told
//   from       the id of its prices in the package; the provider's id unless told
//   prices     prices instead of the package's, as the catalogue writes them
//   context    tokens of prompt and answer together; the package's unless told
//   output     tokens of one answer, at most
//   image      tokens that one image counts as, at most
//   aliases, operations, fallbacks   as in the catalogue

export const providers = [
  { name: 'openai', package: 'openai', protocol: 'openai', base_url: 'https://api.openai.com/v1', api_key_env: 'OPENAI_API_KEY' },
  { name: 'anthropic', package: 'anthropic', protocol: 'anthropic', base_url: 'https://api.anthropic.com', api_key_env: 'ANTHROPIC_API_KEY' },
  { name: 'google', package: 'google', protocol: 'openai', base_url: 'https://generativelanguage.googleapis.com/v1beta/openai', api_key_env: 'GEMINI_API_KEY' },
  { name: 'deepseek', package: 'deepseek', protocol: 'openai', base_url: 'https://api.deepseek.com/v1', api_key_env: 'DEEPSEEK_API_KEY', max_tokens_field: 'max_tokens' },
  { name: 'mistral', package: 'mistral', protocol: 'openai', base_url: 'https://api.mistral.ai/v1', api_key_env: 'MISTRAL_API_KEY', max_tokens_field: 'max_tokens' },
  { name: 'xai', package: 'x-ai', protocol: 'openai', base_url: 'https://api.x.ai/v1', api_key_env: 'XAI_API_KEY' },
  { name: 'groq', package: 'groq', protocol: 'openai', base_url: 'https://api.groq.com/openai/v1', api_key_env: 'GROQ_API_KEY' },
  { name: 'together', package: 'together', protocol: 'openai', base_url: 'https://api.together.xyz/v1', api_key_env: 'TOGETHER_API_KEY', max_tokens_field: 'max_tokens' },
]

// The largest image of gpt-5.4 and later, seen in full, is 10,000 patches of a token each;
// smaller models count a patch as more.
const patches = { image: 12_000 }
const gpt6 = { context: 1_050_000, output: 128_000, ...patches }
const gpt5 = { context: 400_000, output: 128_000 }
const gpt41 = { context: 1_047_576, output: 32_768 }
const reasoner = { context: 200_000, output: 100_000 }
const million = 1_000_000
const claude5 = { context: million, output: 128_000, image: 4_800 }
const claude4 = { context: 200_000, output: 64_000, image: 1_640 }
const gemini = { context: 1_048_576, output: 65_536, image: 4_096 }
const embeddings = { operations: ['embeddings'] }
const images = { operations: ['images'] }
const transcriptions = { operations: ['transcriptions'] }
const speech = { operations: ['speech'] }

export const models = {
  openai: [
    ['gpt-4o-mini', { output: 16_384, image: 48_169, aliases: ['gpt-4o-mini-2024-07-18'], fallbacks: ['claude-haiku'] }],
    ['gpt-4o', { output: 16_384, image: 1_445, aliases: ['gpt-4o-2024-08-06', 'gpt-4o-2024-11-20'], fallbacks: ['claude-sonnet'] }],
    ['gpt-4.1', { ...gpt41, image: 1_445, aliases: ['gpt-4.1-2025-04-14'], fallbacks: ['claude-sonnet'] }],
    ['gpt-4.1-mini', { ...gpt41, image: 2_489, aliases: ['gpt-4.1-mini-2025-04-14'], fallbacks: ['claude-haiku'] }],
    ['gpt-4.1-nano', { ...gpt41, image: 3_779, aliases: ['gpt-4.1-nano-2025-04-14'] }],
    ['gpt-6-astra', { ...gpt6 }],
    ['gpt-6-sol', { ...gpt6 }],
    ['gpt-6-luna', { ...gpt6, image: 24_600 }],
    ['gpt-5.6-sol', { ...gpt6 }],
    ['gpt-5.6-terra', { ...gpt6, image: 16_200 }],
    ['gpt-5.6-luna', { ...gpt6, image: 24_600 }],
    ['gpt-5.5', { ...gpt6 }],
    ['gpt-5.4', { ...gpt6 }],
    ['gpt-5.4-mini', { ...gpt5, image: 16_200 }],
    ['gpt-5.4-nano', { ...gpt5, image: 24_600 }],
    ['gpt-5.2', { ...gpt5, image: 1_190 }],
    ['gpt-5.1', { ...gpt5, image: 1_190 }],
    ['gpt-5', { ...gpt5, image: 1_190, aliases: ['gpt-5-2025-08-07'] }],
    ['gpt-5-mini', { ...gpt5, image: 2_489, aliases: ['gpt-5-mini-2025-08-07'] }],
    ['gpt-5-nano', { ...gpt5, image: 3_779, aliases: ['gpt-5-nano-2025-08-07'] }],
    ['o3', { ...reasoner, image: 1_275 }],
    ['o4-mini', { ...reasoner, image: 2_642 }],
    ['o3-mini', { ...reasoner }],
    ['o1', { ...reasoner, image: 1_275 }],
    ['gpt-audio', { output: 16_384 }],
    ['gpt-audio-mini', { output: 16_384 }],
    ['text-embedding-3-small', { ...embeddings }],
    ['text-embedding-3-large', { ...embeddings }],
    ['text-embedding-ada-002', { ...embeddings }],
    // The largest picture of high quality is 6,240 tokens.
    ['gpt-image-1', { ...images, output: 6_240 }],
    ['gpt-image-1-mini', { ...images, output: 6_240 }],
    ['gpt-image-1.5', { ...images, output: 6_240 }],
    ['whisper-1', { ...transcriptions }],
    ['gpt-4o-transcribe', { ...transcriptions, output: 2_000 }],
    ['gpt-4o-mini-transcribe', { ...transcriptions, output: 2_000 }],
    ['tts-1', { ...speech, prices: { million_characters: '15' } }],
    ['tts-1-hd', { ...speech, prices: { million_characters: '30' } }],
    // An answer is as long as 2,000 tokens of text are read aloud.
    ['gpt-4o-mini-tts', { ...speech, context: 2_000, output: 32_768 }],
  ],
  anthropic: [
    ['claude-haiku-4-5', { ...claude4, aliases: ['claude-haiku', 'claude-haiku-4-5-20251001'] }],
    ['claude-sonnet-4-5', { ...claude4, aliases: ['claude-sonnet', 'claude-sonnet-4-5-20250929'] }],
    ['claude-opus-5-5', { ...claude5, aliases: ['claude-opus'] }],
    ['claude-opus-5', { ...claude5 }],
    ['claude-opus-4-8', { ...claude5 }],
    ['claude-opus-4-7', { ...claude5 }],
    ['claude-opus-4-6', { ...claude5 }],
    ['claude-opus-4-5', { ...claude4, aliases: ['claude-opus-4-5-20251101'] }],
    ['claude-opus-4-1', { ...claude4, output: 32_000, aliases: ['claude-opus-4-1-20250805'] }],
    ['claude-sonnet-5', { ...claude5 }],
    ['claude-sonnet-4-6', { ...claude5 }],
    ['claude-fable-5-1', { ...claude5 }],
    ['claude-fable-5', { ...claude5 }],
  ],
  google: [
    ['gemini-3.8-flash', { ...gemini }],
    ['gemini-3.5-flash', { ...gemini }],
    ['gemini-3.5-flash-lite', { ...gemini }],
    ['gemini-3.1-flash-lite', { ...gemini }],
    ['gemini-3.1-pro-preview', { ...gemini }],
    ['gemini-2.5-pro', { ...gemini }],
    ['gemini-2.5-flash', { ...gemini }],
    ['gemini-2.5-flash-lite', { ...gemini }],
    ['gemini-embedding-001', { ...embeddings, context: 2_048 }],
  ],
  deepseek: [
    ['deepseek-v4-flash', { output: 65_536 }],
    ['deepseek-v4-pro', { output: 65_536 }],
  ],
  mistral: [
    // No chat models: Mistral refuses a stream that asks to be told its usage.
    ['mistral-embed', { ...embeddings }],
    ['voxtral-mini-2602', { ...transcriptions }],
  ],
  xai: [
    ['grok-4.6', { output: 131_072 }],
    ['grok-4.5', { output: 131_072 }],
    ['grok-4.3', { output: 131_072 }],
    ['grok-4-1-fast-reasoning', { output: 131_072 }],
    ['grok-4-1-fast-non-reasoning', { output: 131_072 }],
    ['grok-code-fast-1', { output: 131_072 }],
  ],
  groq: [
    ['openai/gpt-oss-120b', { id: 'gpt-oss-120b', output: 65_536 }],
    ['openai/gpt-oss-20b', { id: 'gpt-oss-20b', output: 65_536 }],
    ['llama-3.3-70b-versatile', { context: 131_072, output: 32_768 }],
    ['llama-3.1-8b-instant', { context: 131_072, output: 131_072 }],
    ['qwen/qwen3-32b', { id: 'qwen3-32b', output: 40_960 }],
    ['whisper-large-v3', { ...transcriptions }],
    ['whisper-large-v3-turbo', { ...transcriptions }],
  ],
  together: [
    ['meta-llama/Llama-3.3-70B-Instruct-Turbo', { id: 'llama-3.3-70b-turbo', context: 131_072, output: 32_768 }],
    ['meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8', { id: 'llama-4-maverick', context: 1_048_576, output: 32_768 }],
  ],
}
