-- Appends an update and claims its id, once.
-- KEYS: the stream, prefix of the claims   ARGV: update id, raw update
-- Returns 1 when appended, 0 when the id was claimed before.
--
-- Claims lie in one set per day of this server's clock (the first ten digits of an
-- entry's id are its seconds); looking at two of them makes a claim last at least 24 h,
-- as long as Telegram redelivers. A script is never rolled back, so the entry is
-- appended before its id is claimed, and taken back where the claim was another's:
-- whatever fails, no id is claimed whose update is not in the stream.
local entry = redis.call('XADD', KEYS[1], '*', 'raw', ARGV[2])
local day = math.floor(string.sub(entry, 1, 10) / 86400)
local today = KEYS[2] .. day
if redis.call('SADD', today, ARGV[1]) == 0 then
  redis.call('XDEL', KEYS[1], entry)
  return 0
end
if redis.call('SISMEMBER', KEYS[2] .. (day - 1), ARGV[1]) == 1 then
  redis.call('SREM', today, ARGV[1])
  redis.call('XDEL', KEYS[1], entry)
  return 0
end
if redis.call('SCARD', today) == 1 then redis.call('EXPIRE', today, 172800) end
return 1
