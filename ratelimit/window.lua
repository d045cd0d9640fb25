-- The exact sliding window, as functions that other scripts are composed with.
--
--   now_us() -> the server's clock in µs; an instance's clock never decides.
--   window_check(key, now, limit, window_us) -> allowed, remaining, reset_us, state
--       Decides, records nothing. remaining counts this request as taken.
--       Allowed: reset_us is the time until the window is whole again.
--       Denied: reset_us is the time until one more request would be allowed.
--   window_add(key, state) records the request that window_check allowed.
--
-- Two representations, chosen by the limit:
--   limit <= 128: a list of the timestamps still in the window. Exact.
--   limit  > 128: a hash of 61 live buckets of window/60 with their running
--                 sum; the oldest bucket is charged in full until all of it
--                 has left the window. Never over, at most 1/60 harsh.
-- A limit that is changed across 128 converts what is recorded, so the switch
-- never forgets a request.

local WINDOW_LOG_MAX = 128
local WINDOW_BUCKETS = 60

local function now_us()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local function window_int(n)
  return string.format('%.0f', n)
end

-- window_width rounds up, so that 60 buckets never cover less than a window.
local function window_width(window)
  return math.ceil(window / WINDOW_BUCKETS)
end

local function window_expire_ms(window)
  return window_int(math.ceil((window + 2 * window_width(window)) / 1000))
end

local function window_slot(index)
  return 'b' .. window_int(index % (WINDOW_BUCKETS + 1))
end

local function window_log_to_buckets(key, window)
  local stamps = redis.call('LRANGE', key, 0, -1)
  redis.call('DEL', key)
  if #stamps == 0 then return end
  local width, head, sum, counts = window_width(window), 0, 0, {}
  for _, stamp in ipairs(stamps) do
    head = math.max(head, math.floor(tonumber(stamp) / width))
  end
  for _, stamp in ipairs(stamps) do
    local index = math.floor(tonumber(stamp) / width)
    if index >= head - WINDOW_BUCKETS then
      local slot = window_slot(index)
      counts[slot] = (counts[slot] or 0) + 1
      sum = sum + 1
    end
  end
  local args = { 'h', window_int(head), 's', window_int(sum), 'w', window_int(width) }
  for slot, count in pairs(counts) do
    args[#args + 1] = slot
    args[#args + 1] = window_int(count)
  end
  redis.call('HSET', key, unpack(args))
  redis.call('PEXPIRE', key, window_expire_ms(window))
end

local function window_buckets_to_log(key, now, window)
  local fields = redis.call('HGETALL', key)
  redis.call('DEL', key)
  local hash = {}
  for i = 1, #fields, 2 do hash[fields[i]] = tonumber(fields[i + 1]) end
  if not hash.h or not hash.w then return end
  for index = hash.h - WINDOW_BUCKETS, hash.h do
    -- Each request is dated at its bucket's end: harsh, never late.
    local stamp = window_int(math.min(now, (index + 1) * hash.w))
    for _ = 1, math.min(hash[window_slot(index)] or 0, WINDOW_LOG_MAX) do
      redis.call('RPUSH', key, stamp)
    end
  end
  redis.call('LTRIM', key, -WINDOW_LOG_MAX, -1)
  redis.call('PEXPIRE', key, window_expire_ms(window))
end

local function window_check_log(key, now, limit, window)
  local newest = redis.pcall('LINDEX', key, -1)
  if type(newest) == 'table' and newest.err then
    window_buckets_to_log(key, now, window)
    newest = redis.call('LINDEX', key, -1)
  end
  local used = 0
  if newest then
    now = math.max(now, tonumber(newest)) -- the clock may step back, the window may not
    used = redis.call('LLEN', key)
    while used > 0 and tonumber(redis.call('LINDEX', key, 0)) <= now - window do
      redis.call('LPOP', key)
      used = used - 1
    end
  end
  local state = { log = true, at = now, window = window }
  if used < limit then
    return true, limit - used - 1, window, state
  end
  if limit <= 0 then return false, 0, window, state end
  local blocking = tonumber(redis.call('LINDEX', key, -limit))
  return false, 0, blocking + window - now, state
end

-- window_advance moves the head to index and takes what left the window off the sum.
local function window_advance(key, head, sum, index, width, window)
  local gone = {}
  for left = head - WINDOW_BUCKETS, math.min(index - WINDOW_BUCKETS - 1, head) do
    gone[#gone + 1] = window_slot(left)
  end
  if #gone > 0 then
    local counts = redis.call('HMGET', key, unpack(gone))
    for i = 1, #gone do sum = sum - tonumber(counts[i] or 0) end
    redis.call('HDEL', key, unpack(gone))
  end
  redis.call('HSET', key, 'h', window_int(index), 's', window_int(sum), 'w', window_int(width))
  redis.call('PEXPIRE', key, window_expire_ms(window))
  return sum
end

-- window_wait finds when enough of the oldest buckets have left for one more request.
local function window_wait(key, now, limit, index, sum, width)
  local slots = {}
  for bucket = index - WINDOW_BUCKETS, index do slots[#slots + 1] = window_slot(bucket) end
  local counts = redis.call('HMGET', key, unpack(slots))
  for i = 1, #slots do
    sum = sum - tonumber(counts[i] or 0)
    if sum < limit then
      return (index + i) * width - now
    end
  end
  return (WINDOW_BUCKETS + 1) * width
end

local function window_check_buckets(key, now, limit, window)
  local width = window_width(window)
  local index = math.floor(now / width)
  local slot = window_slot(index)
  local seen = redis.pcall('HMGET', key, 'h', 's', slot)
  if seen.err then
    window_log_to_buckets(key, window)
    seen = redis.call('HMGET', key, 'h', 's', slot)
  end
  local head, sum, count = tonumber(seen[1] or -1), tonumber(seen[2] or 0), tonumber(seen[3] or 0)
  if head > index then -- the clock stepped back
    index, now = head, head * width
    slot = window_slot(index)
    count = tonumber(redis.call('HGET', key, slot) or 0)
  elseif head < index then
    if head < 0 then head = index - 1 end
    sum = window_advance(key, head, sum, index, width, window)
    count = 0
  end
  local state = { slot = slot, sum = sum, count = count }
  if sum < limit then
    return true, limit - sum - 1, window, state
  end
  return false, 0, window_wait(key, now, limit, index, sum, width), state
end

local function window_check(key, now, limit, window)
  if limit <= WINDOW_LOG_MAX then
    return window_check_log(key, now, limit, window)
  end
  return window_check_buckets(key, now, limit, window)
end

local function window_add(key, state)
  if state.log then
    redis.call('RPUSH', key, window_int(state.at))
    redis.call('PEXPIRE', key, window_expire_ms(state.window))
    return
  end
  redis.call('HSET', key, 's', window_int(state.sum + 1), state.slot, window_int(state.count + 1))
end
