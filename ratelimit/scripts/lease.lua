-- The concurrency lease of kind 'c': a sorted set of the ids that hold a place, by
-- the µs at which their lease ends. What is no sorted set is dropped.

local LEASE_RETRY = 1000000 -- µs after which a denied call may well pass: places are given back at any moment

local function lease_check(e, now, id)
  local held = redis.pcall('ZCOUNT', e.key, '(' .. limits_int(now), '+inf')
  if type(held) == 'table' then
    redis.call('DEL', e.key)
    held = 0
  end
  if id == '' then e.cost = 0 end
  e.at, e.held, e.left, e.reset = now, held, math.max(0, e.max - held), 0
  if e.cost == 0 then return true end
  local ends = held > 0 and redis.call('ZSCORE', e.key, id)
  if ends and tonumber(ends) > now then -- asked again: the place counts once
    e.left = math.max(1, e.max - held + 1)
    return true
  end
  if held < e.max then return true end
  e.reset = LEASE_RETRY
  if e.max > 0 then
    local first = redis.call('ZRANGEBYSCORE', e.key, '(' .. limits_int(now), '+inf',
      'WITHSCORES', 'LIMIT', limits_int(held - e.max), 1)
    e.reset = math.min(LEASE_RETRY, tonumber(first[2]) - now)
  end
  return false
end

-- lease_hold lets id hold its place until ends at the earliest.
local function lease_hold(key, now, id, ends)
  local has = redis.call('ZSCORE', key, id)
  redis.call('ZADD', key, limits_int(math.max(ends, tonumber(has or 0))), id)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', key, limits_int(math.ceil((tonumber(last[2]) - now) / 1000) + 1000))
end

local function lease_add(e, now, id, life_ms)
  redis.call('ZREMRANGEBYSCORE', e.key, '-inf', limits_int(now))
  lease_hold(e.key, now, id, now + life_ms * 1000)
end
