// Builds internal/llm/catalogue.yaml, and the notice beside it, from the prices of
// @pydantic/genai-prices and from models.mjs:
//
//   node build.mjs [--date 2026-11-21] [--to DIRECTORY]
//
// The date is today unless told; prices are those in force on it. What cannot be
// written without a doubt, such as a price of a kind that is not known here, is an
// error: a price left out would be a call sold below its cost.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { findProvider } from '@pydantic/genai-prices'
import { models, providers } from './models.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const { values: options } = parseArgs({ options: { date: { type: 'string' }, to: { type: 'string' } } })
const date = options.date ?? new Date().toISOString().slice(0, 10)
const to = options.to ?? join(here, '..', '..', 'internal', 'llm')
const source = join(here, 'node_modules', '@pydantic', 'genai-prices')
const version = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')).version

// The package's names of prices, and the catalogue's. hours are per hour, all others
// per million tokens.
const names = {
  input_mtok: 'input', cache_read_mtok: 'cached_input', cache_audio_read_mtok: 'cached_input_audio',
  cache_write_mtok: 'cache_write', cache_write_1h_mtok: 'cache_write_1h',
  input_audio_mtok: 'input_audio', input_image_mtok: 'input_image',
  output_mtok: 'output', output_audio_mtok: 'output_audio', output_image_mtok: 'output_image',
  audio_hours: 'minute',
}
// Images read from the cache are charged as text read from it: by the dearer price.
const asText = { cache_image_read_mtok: 'cached_input' }
// What requests cannot use here, or another price says already.
const unused = new Set(['web_searches_kcount', 'storage_searches_kcount', 'input_audio_hours'])
const order = ['input', 'cached_input', 'cached_input_audio', 'cache_write', 'cache_write_1h', 'input_audio', 'input_image',
  'output', 'reasoning', 'output_audio', 'output_image', 'image', 'minute', 'million_characters']

// decimal is a price in USD with at most nine decimals, rounded up; per divides it.
function decimal(price, per = 1) {
  const nano = Math.round(price * 1e9)
  if (!Number.isFinite(price) || price < 0 || Math.abs(nano - price * 1e9) > 0.001) throw new Error(`price ${price}`)
  const whole = Math.ceil(nano / per)
  return `${Math.floor(whole / 1e9)}.${String(whole % 1e9).padStart(9, '0')}`.replace(/\.?0+$/, '')
}

// inForce are the prices on the date. Where a price depends on the hour of the day, the
// dearest is charged at every hour. later is what changes after the date, in words.
function inForce(entries) {
  if (!Array.isArray(entries)) return { prices: entries, later: [] }
  let dated = entries.filter((e) => e.constraint?.type !== 'time_of_date')
  const later = dated.filter((e) => e.constraint && e.constraint.start_date > date)
    .map((e) => `from ${e.constraint.start_date}: ${JSON.stringify(e.prices)}`)
  dated = dated.filter((e) => !e.constraint || e.constraint.start_date <= date)
  const prices = { ...dated.at(-1).prices }
  for (const { prices: hourly } of entries.filter((e) => e.constraint?.type === 'time_of_date')) {
    for (const [key, price] of Object.entries(hourly)) {
      if (typeof price !== 'number' || typeof (prices[key] ?? 0) !== 'number') throw new Error(`tiers by the hour: ${key}`)
      prices[key] = Math.max(price, prices[key] ?? 0)
    }
  }
  return { prices, later }
}

// convert turns the package's prices into the catalogue's: below a length of prompt and above it.
function convert(raw) {
  const below = {}, above = {}
  let start = 0
  const put = (into, name, price, per) => {
    if (into[name] === undefined || Number(into[name]) < price / per) into[name] = decimal(price, per)
  }
  for (const [key, price] of Object.entries(raw)) {
    if (unused.has(key) || price === undefined) continue
    const name = names[key] ?? asText[key]
    if (!name) throw new Error(`unknown price ${key}`)
    const per = key === 'audio_hours' ? 60 : 1
    put(below, name, price.base ?? price, per)
    const tiers = price.tiers ?? []
    if (tiers.length > 1 || (tiers.length && start && start !== tiers[0].start)) throw new Error('several tiers')
    if (tiers.length) start = tiers[0].start
    put(above, name, tiers[0]?.price ?? price.base ?? price, per)
  }
  return { below, above: start ? { tokens: start, prices: above } : undefined }
}

function ordered(prices) {
  const unknown = Object.keys(prices).filter((name) => !order.includes(name))
  if (unknown.length) throw new Error(`unknown price ${unknown}`)
  return `{${order.filter((name) => name in prices).map((name) => `${name}: "${prices[name]}"`).join(', ')}}`
}

function model(provider, published, [name, facts]) {
  const priced = published.models.find((m) => m.id === (facts.from ?? name))
  if (!priced && !facts.prices) throw new Error('the package has no prices of it')
  const { prices: raw, later } = facts.prices ? { prices: {}, later: [] } : inForce(priced.prices)
  const { below, above } = facts.prices ? { below: facts.prices } : convert(raw)
  if (facts.operations?.[0] === 'embeddings') below.output = '0'
  if (!below.million_characters && !below.minute && !(below.input && below.output)) throw new Error(`prices ${JSON.stringify(raw)}`)
  const context = facts.context ?? priced?.context_window
  const lines = later.map((change) => `  # ${change}`)
  lines.push(`  - id: ${facts.id ?? name}`)
  if (facts.aliases) lines.push(`    aliases: [${facts.aliases.join(', ')}]`)
  if (facts.operations) lines.push(`    operations: [${facts.operations.join(', ')}]`)
  lines.push(`    prices: ${ordered(below)}`)
  if (above) lines.push(`    above: {tokens: ${above.tokens}, prices: ${ordered(above.prices)}}`)
  if (context) lines.push(`    context: ${context}`)
  if (facts.output) lines.push(`    max_output: ${facts.output}`)
  if (facts.image) lines.push(`    image_tokens: ${facts.image}`)
  lines.push(`    deployments: [{provider: ${provider.name}, model: ${name}}]`)
  if (facts.fallbacks) lines.push(`    fallbacks: [${facts.fallbacks.join(', ')}]`)
  return lines.join('\n')
}

const faults = []
const offered = providers.flatMap((provider) => {
  const published = findProvider({ providerId: provider.package })
  return models[provider.name].flatMap((entry) => {
    try {
      return [model(provider, published, entry)]
    } catch (fault) {
      faults.push(`${provider.name}, ${entry[0]}: ${fault.message}`)
      return []
    }
  })
})
if (faults.length) {
  console.error(faults.join('\n'))
  process.exit(1)
}
const places = providers.map(({ package: _, ...fields }) =>
  `  - {${Object.entries(fields).map(([key, value]) => `${key}: ${value}`).join(', ')}}`)

writeFileSync(join(to, 'catalogue.yaml'), `# The models that KikuAI offers unless CATALOG_FILE names another file.
# Made by deploy/catalogue (make catalogue): do not edit.
#
# Prices as published on ${date}, from @pydantic/genai-prices ${version}, whose notice is in
# catalogue.NOTICE; in USD, per million tokens or characters, per minute and per image.
# Hold them against the providers' own pages before you sell by them.
# Providers whose key is not in the environment are left out at start.

providers:
${places.join('\n')}

models:
${offered.join('\n\n')}
`)
writeFileSync(join(to, 'catalogue.NOTICE'), `The prices in catalogue.yaml come from @pydantic/genai-prices ${version}
(https://github.com/pydantic/genai-prices), which is distributed under this license:

${readFileSync(join(source, 'LICENSE'), 'utf8').trim()}
`)
