-- Looks after claims later, but for those that were resolved meanwhile.
--
-- KEYS claims
-- ARGV ms, then the claims
local at = string.format('%.0f', now_ms() + ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', at, ARGV[i]) end
return #ARGV - 1
