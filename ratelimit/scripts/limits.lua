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

local function limits_number(digits)
  return math.min(tonumber(digits), LIMITS_MOST)
end

-- limits_expand(list, packed, base, scope, tokens) -> entries appended, or nil where
-- packed is none. packed is rpm|tpm|concurrency|refill|burst in decimal, 0: no such
-- limit; refill in thousandths of a token per second. tokens is what the call is
-- estimated to take of tpm; with 0 it is only looked at. A bucket that would take
-- longer than 31 days to fill is as large as those fill it.
local function limits_expand(list, packed, base, scope, tokens)
  local rpm, tpm, slots, refill, burst = string.match(packed or '', '^(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$')
  if not rpm then return nil end
  rpm, tpm, slots = limits_number(rpm), limits_number(tpm), limits_number(slots)
  refill, burst = limits_number(refill), limits_number(burst)
  local n = #list
  local first = n
  if rpm > 0 then
    n = n + 1
    list[n] = { kind = 'w', name = 'requests', scope = scope, key = base, max = rpm, span = LIMITS_SPAN, cost = 1 }
  end
  if tpm > 0 then
    n = n + 1
    list[n] = { kind = 'w', name = 'tokens', scope = scope, key = base .. ':t', max = tpm, span = LIMITS_SPAN, cost = tokens }
  end
  if burst > 0 and refill > 0 then
    n = n + 1
    burst = math.max(1, math.min(burst, math.floor(refill * BUCKET_SPAN / 1000000000)))
    list[n] = { kind = 'b', name = 'burst', scope = scope, key = base .. ':b', max = burst,
      span = math.min(BUCKET_SPAN, math.ceil(burst * 1000000000 / refill)), cost = 1 }
  end
  if slots > 0 then
    n = n + 1
    list[n] = { kind = 'c', name = 'concurrency', scope = scope, key = base .. ':c', max = slots, span = 0, cost = 1 }
  end
  return n - first
end

-- limits_check(list, now, id) -> the index of the entry that denies, of several the
-- one with the longest wait, or nil. Records nothing; fills in left, reset and at.
-- id names the call: it holds the places of concurrency limits, once however often
-- it asks. With '' those are only looked at.
local function limits_check(list, now, id)
  local denied
  for i = 1, #list do
    local e, allowed = list[i], nil
    if e.kind == 'w' then
      allowed = window_check(e, now)
    elseif e.kind == 'b' then
      allowed = bucket_check(e, now)
    else
      allowed = lease_check(e, now, id)
    end
    if not allowed and (not denied or e.reset > list[denied].reset) then denied = i end
  end
  return denied
end

-- limits_add(list, now, id, life_ms) records what limits_check allowed; places of
-- concurrency limits end after life_ms unless they are renewed.
local function limits_add(list, now, id, life_ms)
  for i = 1, #list do
    local e = list[i]
    if e.cost > 0 then
      if e.kind == 'w' then
        window_add(e)
      elseif e.kind == 'c' then
        lease_add(e, now, id, life_ms)
      elseif e.max > 0 then
        bucket_write(e, now)
      end
    end
  end
end

local function limits_escape(text)
  if not string.find(text, '[%%|;]') then return text end
  return (string.gsub(text, '[%%|;]', function(c) return string.format('%%%02X', string.byte(c)) end))
end

-- limits_report(list, denied) -> the denying index (0: none), and for each entry
-- ';' kind|name|scope|max|span_us|remaining|reset_us|at_us|cost|key. Remaining is
-- what is left after this call, or without it where it was denied. Name, scope and
-- key carry %XX for '%', '|' and ';'.
local function limits_report(list, denied)
  local report = { denied and limits_int(denied) or '0' }
  for i = 1, #list do
    local e = list[i]
    report[i + 1] = string.format('%s|%s|%s|%.0f|%.0f|%.0f|%.0f|%.0f|%.0f|%s', e.kind,
      limits_escape(e.name), limits_escape(e.scope), e.max, e.span,
      denied and e.left or math.max(0, e.left - e.cost), e.reset, e.at, e.cost, limits_escape(e.key))
  end
  return table.concat(report, ';')
end

-- limits_finish(list, now, id, mark) trues up what was taken: an entry brings kind, key,
-- max, span, at and cost as reported, and used. What was not used is given back to
-- the moment it was taken at; what was used beyond the cost is added now, over the
-- limit if need be; a place is given back. A second finish finds the mark that the
-- first one left at the key mark, which lives for as long as anything could be given
-- back, and does nothing; a place can be given back but once by itself.
local function limits_finish(list, now, id, mark)
  local life
  for i = 1, #list do
    local e = list[i]
    if e.kind == 'c' then
      redis.pcall('ZREM', e.key, id)
    elseif e.used ~= e.cost then
      life = math.max(life or 0, e.span)
    end
  end
  if not life then return end
  if not redis.call('SET', mark, '1', 'NX', 'PX', limits_int(math.ceil(life / 1000) + 60000)) then return end
  for i = 1, #list do
    local e = list[i]
    local over = (e.used or 0) - e.cost
    if e.kind == 'b' and over ~= 0 then
      bucket_shift(e, now, over)
    elseif e.kind == 'w' and over < 0 then
      window_give(e, -over)
    elseif e.kind == 'w' and over > 0 then
      e.cost = over
      window_check(e, now)
      window_add(e)
    end
  end
end

-- limits_renew(key, now, id, life_ms) -> 1 where id still holds its place, which it
-- then does for life_ms from now at the least; 0 where the lease has ended.
local function limits_renew(key, now, id, life_ms)
  local ends = redis.pcall('ZSCORE', key, id)
  if type(ends) ~= 'string' or tonumber(ends) <= now then return 0 end
  lease_hold(key, now, id, now + life_ms * 1000)
  return 1
end
