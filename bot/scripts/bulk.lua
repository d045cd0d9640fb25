-- Admits n messages of those that nobody waits for, or says how long to wait.
--
-- KEYS pace
-- ARGV n, most that may be ahead, every (microseconds)
-- -> microseconds to wait; 0: they may go
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n, most, every = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + n * every
local wait = due - now - most * every
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return 0
