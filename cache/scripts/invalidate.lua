-- Removes a value, makes the loads begun before too late, and tells the instances.
--
-- KEYS value state
-- ARGV life of the state in ms, channel, message ('': tell nobody)
-- -> 1
local s = read(KEYS[2])
local ticket = written(next_ticket(s, now_us()))
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], 's', ticket, 'f', ticket)
redis.call('HDEL', KEYS[2], 'l', 'u', 't')
redis.call('PEXPIRE', KEYS[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
