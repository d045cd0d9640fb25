-- The window of window.lua in its commonest state, as one function for scripts that decide
-- the commonest call without the others: a function costs each call that makes it.
--
--   window_steady(key, max, n) -> left, reset_us, at
--       Takes n of max requests of a minute: left is what is left after them, at the moment
--       in µs. nil where window.lua is to decide, as it does when the limit is reached, the
--       clock has stepped back or the key is of another representation; what was taken
--       until then is as it was, but for stamps that have left the window.
local function window_steady(key, max, n)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if max > 128 then -- a bucket of a minute's window is a second wide: its index is the time in seconds
    local slot = 'b' .. time[1] % 61
    local seen = redis.pcall('HMGET', key, 'h', 's', 'w', slot)
    if seen.err or seen[1] ~= time[1] or seen[3] ~= '1000000' then return nil end
    local sum, count = tonumber(seen[2]), tonumber(seen[4] or 0)
    if not sum or not count or sum < 0 or sum > max - n then return nil end
    redis.call('HSET', key, 's', string.format('%d', sum + n), slot, string.format('%d', count + n))
    return max - sum - n, (time[1] + 61) * 1000000 - now, now
  end
  local newest, used, last = redis.pcall('LINDEX', key, -1), 0, 0
  if newest then
    last = type(newest) == 'string' and tonumber(newest)
    if not last or last > now or last <= now - 60000000 then return nil end
    used = redis.call('LLEN', key)
    while (tonumber(redis.call('LINDEX', key, 0)) or 0) <= now - 60000000 do
      redis.call('LPOP', key)
      used = used - 1
    end
  end
  if used > max - n then return nil end
  local stamp = string.format('%d', now)
  if n == 1 then
    redis.call('RPUSH', key, stamp)
  else
    local stamps = {}
    for i = 1, n do stamps[i] = stamp end
    redis.call('RPUSH', key, unpack(stamps))
  end
  if math.floor(last / 1000000) ~= math.floor(now / 1000000) then redis.call('PEXPIRE', key, 62000) end
  return max - used - n, 60000000, now
end
