-- Claims an update's id and appends the update, once.
-- KEYS: the stream, prefix of the claims   ARGV: update id, raw update
-- Returns 1 when appended, 0 when the id was claimed before.
--
-- Claims lie in one set per day of this server's clock; looking at two of them makes a
-- claim last at least 24 h, as long as Telegram redelivers. A script is never rolled
-- back, so the entry is appended before its id is claimed: whatever fails, no id is
-- claimed whose update is not in the stream.
local day = math.floor(redis.call('TIME')[1] / 86400)
local today = KEYS[2] .. string.format('%.0f', day)
if redis.call('SISMEMBER', today, ARGV[1]) == 1 or
  redis.call('SISMEMBER', KEYS[2] .. string.format('%.0f', day - 1), ARGV[1]) == 1 then
  return 0
end
redis.call('XADD', KEYS[1], '*', 'raw', ARGV[2])
redis.call('SADD', today, ARGV[1])
if redis.call('SCARD', today) == 1 then redis.call('EXPIRE', today, 172800) end
return 1
