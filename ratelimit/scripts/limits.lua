-- Several limits decided together. A script composed with these functions collects
-- a list of entries, checks it, does what else it must, and adds:
--
--   local list = {}
--   limits_expand(list, packed, base, scope, tokens)
--   local denied = limits_check(list, now, id, life_ms)
--   if not denied then limits_add(list, now, id, life_ms) end
--   return limits_report(list, denied)
--
-- An entry: kind 'w' (window), 'b' (token bucket) or 'c' (concurrency); name, scope,
-- key; max units; span in µs; cost in units, where 0 only looks and is never denied.
-- No two entries of a list may have the same key, and all live on one shard.

local LIMITS_SPAN = 60000000 -- µs, of windows in packed limits
local LIMITS_MOST = 2147483647 -- a packed number above counts as this

-- limits_expand(list, packed, base, scope, tokens) -> entries appended, or nil where
-- packed is none. packed is rpm|tpm|concurrency|refill|burst in decimal, 0: no such
-- limit; refill in thousandths of a token per second. tokens is what the call is
-- estimated to take of tpm; with 0 it is only looked at. A bucket that would take
-- longer than 31 days to fill is as large as those fill it.
local function limits_expand(list, packed, base, scope, tokens)
  local rpm, tpm, slots, refill, burst = string.match(packed or '', '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$')
  if not rpm then return nil end
  rpm, tpm, slots = tonumber(rpm), tonumber(tpm), tonumber(slots)
  refill, burst = tonumber(refill), tonumber(burst)
  local n = #list
  local first = n
  if rpm > 0 then
    n = n + 1
    list[n] = { kind = 'w', name = 'requests', scope = scope, key = base, max = math.min(rpm, LIMITS_MOST), span = LIMITS_SPAN, cost = 1 }
  end
  if tpm > 0 then
    n = n + 1
    list[n] = { kind = 'w', name = 'tokens', scope = scope, key = base .. ':t', max = math.min(tpm, LIMITS_MOST), span = LIMITS_SPAN, cost = tokens }
  end
  if burst > 0 and refill > 0 then
    n = n + 1
    refill = math.min(refill, LIMITS_MOST)
    burst = math.max(1, math.min(burst, LIMITS_MOST, math.floor(refill * BUCKET_SPAN / 1000000000)))
    list[n] = { kind = 'b', name = 'burst', scope = scope, key = base .. ':b', max = burst,
      span = math.min(BUCKET_SPAN, math.ceil(burst * 1000000000 / refill)), cost = 1 }
  end
  if slots > 0 then
    n = n + 1
    list[n] = { kind = 'c', name = 'concurrency', scope = scope, key = base .. ':c', max = math.min(slots, LIMITS_MOST), span = 0, cost = 1 }
  end
  return n - first
end

-- limits_report(list, denied) -> the denying index (0: none), and for each entry
-- ';' kind|name|scope|max|span_us|remaining|reset_us|at_us|cost|key. Remaining is
-- what is left after this call, or without it where it was denied. Name and scope are
-- the program's own words; a key carries %XX for '%', '|' and ';'.
local function limits_report(list, denied)
  local report = denied and limits_int(denied) or '0'
  for i = 1, #list do
    local e, key = list[i], list[i].key
    if string.find(key, '[%%|;]') then
      key = string.gsub(key, '[%%|;]', function(c) return string.format('%%%02X', string.byte(c)) end)
    end
    report = string.format('%s;%s|%s|%s|%d|%d|%d|%d|%d|%d|%s', report, e.kind, e.name, e.scope, e.max, e.span,
      denied and e.left or math.max(0, e.left - e.cost), e.reset, e.at, e.cost, key)
  end
  return report
end
