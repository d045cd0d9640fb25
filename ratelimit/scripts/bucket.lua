-- The token bucket of kind 'b': max tokens at most, and an empty one is full again
-- after span µs. Kept as one string, full|part|max|span: it will be full at full µs
-- and part/max of another, under the limit it was written with. An empty bucket
-- gets no emptier, and a bucket under a changed limit has as many tokens out as
-- before, as far as the new one holds that many.

local BUCKET_MAX = 1099511627775 -- tokens, 2^40-1
local BUCKET_SPAN = 2678400000000 -- µs, 31 days

-- mul_div(a, b, c) -> floor(a*b/c), remainder; exact for a, c < 2^42 and b < 2^40.
local function mul_div(a, b, c)
  local product = a * b
  if product < 9007199254740992 then
    local quotient = math.floor(product / c)
    return quotient, product - quotient * c
  end
  local quotient, rest, unit = 0, 0, 1073741824
  while unit >= 1 do -- ten bits of b at a time
    local x = rest * 1024 + a * (math.floor(b / unit) % 1024)
    local digit = math.floor(x / c)
    quotient, rest, unit = quotient * 1024 + digit, x - digit * c, unit / 1024
  end
  return quotient, rest
end

-- bucket_state -> full, part, max, span as stored, or nil.
local function bucket_state(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'string' then return nil end
  local full, part, max, span = string.match(text, '^(%d+)|(%d+)|(%d+)|(%d+)$')
  if not full then return nil end
  full, part, max, span = tonumber(full), tonumber(part), tonumber(max), tonumber(span)
  if max < 1 or max > BUCKET_MAX or span < 1 or span > BUCKET_SPAN or part >= max then return nil end
  return full, part, max, span
end

local function bucket_put(key, now, full, part, max, span)
  redis.call('SET', key, string.format('%d|%d|%d|%d', full, part, max, span),
    'PX', limits_int(math.ceil((full - now) / 1000) + 1000))
end

-- bucket_read -> full, part of now or later, in terms of e.max and e.span.
local function bucket_read(e, now)
  local full, part, max, span = bucket_state(e.key)
  if not full or full < now then return now, 0 end
  if full >= now + span then
    local put_back = full > now + span or part > 0 -- the clock was
    full, part = now + span, 0
    if put_back then bucket_put(e.key, now, full, part, max, span) end
  end
  if max == e.max and span == e.span then return full, part end
  local out, rest = mul_div(full - now, max, span)
  out = math.min(e.max, out + math.ceil((rest + part) / span))
  full, part = mul_div(e.span, out, e.max)
  return now + full, part
end

local function bucket_check(e, now)
  e.at, e.left, e.reset = now, 0, e.span
  if e.max < 1 then return e.cost == 0 end
  local full, part = bucket_read(e, now)
  local left, rest = mul_div(now + e.span - full, e.max, e.span)
  e.left = left + math.floor((rest - part) / e.span)
  local step, over = mul_div(e.span, math.min(e.cost, e.max), e.max)
  full, part = full + step, part + over
  if part >= e.max then full, part = full + 1, part - e.max end
  e.full, e.part = full, part
  local up = part > 0 and 1 or 0
  if e.cost == 0 or (e.cost <= e.max and full + up <= now + e.span) then
    e.reset = full + up - now
    return true
  end
  if e.cost <= e.max then e.reset = full + up - now - e.span end
  return false
end

-- bucket_write stores e.full and e.part.
local function bucket_write(e, now)
  if e.full > now + e.span then e.full, e.part = now + e.span, 0 end
  bucket_put(e.key, now, e.full, e.part, e.max, e.span)
end
