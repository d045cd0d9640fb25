-- Admits one message to a chat, or says how long to wait.
--
-- KEYS pace pause blocked, of the chat
-- ARGV heard ('1': the chat was heard from since it refused us), group ('1' or '0'), and
--   of a group:   most, window
--   of a person:  most that may be ahead, every; both times in microseconds
-- -> { 'go' | 'wait' | 'blocked', microseconds to wait }
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[3])
elseif redis.call('EXISTS', KEYS[3]) == 1 then
  return { 'blocked', 0 }
end
local rest = redis.call('PTTL', KEYS[2])
if rest > 0 then return { 'wait', rest * 1000 } end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local most, unit = tonumber(ARGV[3]), tonumber(ARGV[4])
if ARGV[2] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - unit)
  local n = redis.call('ZCARD', KEYS[1])
  if n >= most then
    local first = redis.call('ZRANGE', KEYS[1], n - most, n - most, 'WITHSCORES')
    return { 'wait', first[2] + unit - now }
  end
  redis.call('ZADD', KEYS[1], now, string.format('%.0f:%d', now, n))
  redis.call('PEXPIRE', KEYS[1], unit / 1000)
  return { 'go', 0 }
end
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = due - now - most * unit
if wait > 0 then return { 'wait', wait } end
due = due + unit
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return { 'go', 0 }
