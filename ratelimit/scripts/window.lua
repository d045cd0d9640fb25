-- The exact sliding window of kind 'w'. Two representations of what was taken:
--   a list with one stamp in µs for each unit, while limit and units are <= 128;
--   a hash of 61 live buckets of span/60 with their running sum (s), the newest
--   bucket's index (h) and width (w), above. A bucket counts in full until all of
--   it has left the window: never over, at most 1/60 harsh.
-- A limit that is changed moves what is recorded from one to the other whole. What
-- is neither of the two does not come from here and is dropped.
--
-- An entry e brings key, max, span, cost and gets left (units free before this
-- call), reset (µs) and at, the moment in µs that its units are dated to.

local WINDOW_LOG_MAX = 128
local WINDOW_BUCKETS = 60
local WINDOW_MOST = 9007199254740991 -- counts stop at 2^53-1

-- window_width rounds up, so that 60 buckets never cover less than a window.
local function window_width(span)
  return math.ceil(span / WINDOW_BUCKETS)
end

local function window_expire(key, span)
  redis.call('PEXPIRE', key, limits_int(math.ceil((span + 2 * window_width(span)) / 1000)))
end

local function window_slot(index)
  return 'b' .. limits_int(index % (WINDOW_BUCKETS + 1))
end

-- window_load takes the key away -> { { at, units } … } oldest first, now, total.
-- The window's clock does not step back, so the now returned is at least that of
-- the newest unit; unless that is more than a window ahead, which only a clock
-- that was put back leaves behind: all of it then dates from now. Units of a
-- bucket are dated to its last µs.
local function window_load(key, now, span)
  local kind, found, newest = redis.call('TYPE', key).ok, {}, now
  if kind == 'list' then
    for _, stamp in ipairs(redis.call('LRANGE', key, 0, -1)) do
      local at = tonumber(stamp)
      if at then
        found[#found + 1] = { at, 1 }
        newest = math.max(newest, at)
      end
    end
  elseif kind == 'hash' then
    local fields, hash = redis.call('HGETALL', key), {}
    for i = 1, #fields, 2 do hash[fields[i]] = tonumber(fields[i + 1]) end
    if hash.h and hash.w and hash.w >= 1 then
      newest = math.max(now, hash.h * hash.w)
      for index = hash.h - WINDOW_BUCKETS, hash.h do
        local units = hash[window_slot(index)] or 0
        if units > 0 then found[#found + 1] = { (index + 1) * hash.w - 1, units } end
      end
    end
  end
  redis.call('DEL', key)
  if newest > now + span then newest = now end
  local charges, total = {}, 0
  for _, charge in ipairs(found) do
    charge[1] = math.min(charge[1], newest)
    if charge[1] > newest - span then
      charges[#charges + 1] = charge
      total = math.min(total + charge[2], WINDOW_MOST)
    end
  end
  return charges, newest, total
end

local function window_store_log(key, charges, span)
  local stamps = {}
  for _, charge in ipairs(charges) do
    for _ = 1, charge[2] do stamps[#stamps + 1] = limits_int(charge[1]) end
  end
  if #stamps == 0 then return end
  redis.call('RPUSH', key, unpack(stamps))
  window_expire(key, span)
end

local function window_store_buckets(key, charges, now, total, span)
  if #charges == 0 then return end
  local width, counts = window_width(span), {}
  for _, charge in ipairs(charges) do
    local slot = window_slot(math.floor(charge[1] / width))
    counts[slot] = (counts[slot] or 0) + charge[2]
  end
  local args = { 'h', limits_int(math.floor(now / width)), 's', limits_int(total), 'w', limits_int(width) }
  for slot, count in pairs(counts) do
    args[#args + 1] = slot
    args[#args + 1] = limits_int(count)
  end
  redis.call('HSET', key, unpack(args))
  window_expire(key, span)
end

-- window_check_log -> allowed; newest is the newest stamp as Redis gave it.
local function window_check_log(e, now, newest)
  local key, max, span, cost, used = e.key, e.max, e.span, e.cost, 0
  local last = newest and tonumber(newest)
  if newest and (not last or last - now > span) then
    local charges = window_load(key, now, span)
    window_store_log(key, charges, span)
    last = tonumber(redis.call('LINDEX', key, -1))
  end
  if last then
    if last > now then now = last end -- the clock may step back, the window may not
    local gone = now - span
    if last <= gone then
      redis.call('DEL', key)
    else
      used = redis.call('LLEN', key)
      while (tonumber(redis.call('LINDEX', key, 0)) or 0) <= gone do
        redis.call('LPOP', key)
        used = used - 1
      end
    end
  end
  e.at, e.used, e.left, e.last = now, used, math.max(0, max - used), used > 0 and last or 0
  if cost == 0 then
    e.reset = used > 0 and last + span - now or 0
    return true
  end
  e.reset = span
  if used <= max - cost then return true end
  if cost <= max then
    e.reset = (tonumber(redis.call('LINDEX', key, used + cost - max - 1)) or now) + span - now
  end
  return false
end

-- window_read -> head, sum, count of the slot; nil when there is nothing of use.
local function window_read(key, now, span, width, slot)
  local seen = redis.pcall('HMGET', key, 'h', 's', 'w', slot)
  if not seen.err and not seen[1] and not seen[2] then
    if redis.call('EXISTS', key) == 0 then return nil end
    seen = { err = true }
  end
  local head, sum, count = tonumber(seen[1]), tonumber(seen[2]), tonumber(seen[4] or 0)
  if not seen.err and head and sum and count and sum >= 0 and tonumber(seen[3]) == width
    and head * width - now <= span then
    return head, sum, count
  end
  local charges, newest, total = window_load(key, now, span)
  window_store_buckets(key, charges, newest, total, span)
  if #charges == 0 then return nil end
  seen = redis.call('HMGET', key, 'h', 's', slot)
  return tonumber(seen[1]), tonumber(seen[2]), tonumber(seen[3] or 0)
end

-- window_wait -> µs until enough of the oldest buckets have left for e.cost more.
local function window_wait(e, now, index, sum, width)
  local slots, enough = {}, e.max - e.cost
  if enough < 0 then return e.span end
  for bucket = index - WINDOW_BUCKETS, index do slots[#slots + 1] = window_slot(bucket) end
  local counts = redis.call('HMGET', e.key, unpack(slots))
  local gone = {}
  for _, slot in ipairs(e.gone or {}) do gone[slot] = true end
  for i, slot in ipairs(slots) do
    if not gone[slot] then sum = sum - tonumber(counts[i] or 0) end
    if sum <= enough then return (index + i) * width - now end
  end
  return (WINDOW_BUCKETS + 1) * width
end

-- window_check_buckets -> allowed. Writes nothing; what left the window since the
-- head is taken off by window_add.
local function window_check_buckets(e, now)
  local key, span = e.key, e.span
  local width = window_width(span)
  local index = math.floor(now / width)
  local slot = window_slot(index)
  local head, sum, count = window_read(key, now, span, width, slot)
  if e.gone then e.gone = nil end
  if head and head > index then -- the clock stepped back
    index, now, slot = head, head * width, window_slot(head)
    count = tonumber(redis.call('HGET', key, slot) or 0)
  elseif head and head < index then
    e.gone, count = {}, 0
    for left = head - WINDOW_BUCKETS, math.min(index - WINDOW_BUCKETS - 1, head) do
      e.gone[#e.gone + 1] = window_slot(left)
    end
    for _, units in ipairs(redis.call('HMGET', key, unpack(e.gone))) do sum = sum - tonumber(units or 0) end
  end
  if not head then e.gone, sum, count = {}, 0, 0 end
  e.at, e.slot, e.used, e.count, e.left = now, slot, sum, count, math.max(0, e.max - sum)
  if sum <= e.max - e.cost or e.cost == 0 then
    e.reset = (e.cost > 0 or sum > 0) and (index + WINDOW_BUCKETS + 1) * width - now or 0
    return true
  end
  e.reset = window_wait(e, now, index, sum, width)
  return false
end

local function window_check(e, now)
  if e.max > WINDOW_LOG_MAX then return window_check_buckets(e, now) end
  local newest = redis.pcall('LINDEX', e.key, -1)
  if type(newest) ~= 'table' then return window_check_log(e, now, newest) end
  local allowed = window_check_buckets(e, now)
  if e.used > WINDOW_LOG_MAX then return allowed end
  local charges, at, total = window_load(e.key, now, e.span)
  if total > WINDOW_LOG_MAX then
    window_store_buckets(e.key, charges, at, total, e.span)
    return allowed
  end
  window_store_log(e.key, charges, e.span)
  e.slot, e.gone = nil, nil
  return window_check_log(e, at, redis.call('LINDEX', e.key, -1))
end

-- window_add records what window_check allowed, or what was used regardless.
local function window_add(e)
  if not e.slot and e.used + e.cost > WINDOW_LOG_MAX then -- only what is over the limit comes here
    local charges, now, total = window_load(e.key, e.at, e.span)
    local units = math.min(e.cost, WINDOW_MOST - total)
    charges[#charges + 1] = { e.at, units }
    return window_store_buckets(e.key, charges, now, total + units, e.span)
  end
  if not e.slot then
    local stamp = limits_int(e.at)
    if e.cost == 1 then
      redis.call('RPUSH', e.key, stamp)
    else
      local stamps = {}
      for i = 1, e.cost do stamps[i] = stamp end
      redis.call('RPUSH', e.key, unpack(stamps))
    end
    local width = window_width(e.span) -- of the margin that the key lives longer
    if math.floor(e.at / width) ~= math.floor(e.last / width) then window_expire(e.key, e.span) end
    return
  end
  local units = math.min(e.cost, WINDOW_MOST - e.used)
  local sum, count = limits_int(e.used + units), limits_int(e.count + units)
  if not e.gone then
    redis.call('HSET', e.key, 's', sum, e.slot, count)
    return
  end
  if #e.gone > 0 then redis.call('HDEL', e.key, unpack(e.gone)) end
  local width = window_width(e.span)
  redis.call('HSET', e.key, 'h', limits_int(math.floor(e.at / width)), 's', sum, 'w', limits_int(width), e.slot, count)
  window_expire(e.key, e.span)
end
