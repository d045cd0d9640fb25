-- Writes a value that is newer than all loads begun before, and tells the instances.
--
-- KEYS value state
-- ARGV frame without its ticket, life of the value in ms, life of the state in ms,
--      channel, message
-- -> its ticket
local s = read(KEYS[2])
local ticket = written(next_ticket(s, now_us()))
redis.call('HSET', KEYS[2], 's', ticket, 'f', ticket)
redis.call('HDEL', KEYS[2], 'l', 'u', 't')
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ticket .. ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return ticket
