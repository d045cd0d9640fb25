-- Invalidates a tag: values that were loaded under its version before are a miss.
--
-- KEYS tag
-- ARGV life of the version in ms, longer than that of any value; channel, message
-- -> 1
local last = redis.pcall('GET', KEYS[1])
if type(last) == 'table' then last = false end
redis.call('SET', KEYS[1], written(next_ticket(tonumber(last or nil), now_us())), 'PX', ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
