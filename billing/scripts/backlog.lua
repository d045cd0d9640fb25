-- How far the ledger is behind a shard's stream. The first entry is the last one
-- applied: it stays as the proof of where Postgres is.
--
-- KEYS ev
-- -> { events that wait, age of the oldest of them in ms }
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 2)[2]
if not oldest then return { 0, 0 } end
local now = redis.call('TIME')
local age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(string.match(oldest[1], '^%d+'))
return { redis.call('XLEN', KEYS[1]) - 1, math.max(0, age) }
