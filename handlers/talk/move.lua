-- Puts what was kept of a chat in front of what another has, once.
-- KEYS: mark that it was done, turns, gist, choices, threads
-- ARGV: what is moved as JSON {turns, gist, choices}, how long the conversation, the
--       choices and the mark are kept in seconds, the number of turns that are kept,
--       the gist's field that never gives way
-- Returns 1, or 0 where it was done before.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local moved = cjson.decode(ARGV[1])
local fresh = redis.call('EXISTS', KEYS[3]) == 0
for i = #moved.turns, 1, -1 do
  redis.call('LPUSH', KEYS[2], moved.turns[i])
end
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[5]), -1)
for field, value in pairs(moved.gist) do
  if fresh or field == ARGV[6] then
    redis.call('HSETNX', KEYS[3], field, value)
  end
end
for field, value in pairs(moved.choices) do
  redis.call('HSETNX', KEYS[4], field, value)
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[2])
redis.call('EXPIRE', KEYS[4], ARGV[3])
redis.call('SADD', KEYS[5], '0')
redis.call('EXPIRE', KEYS[5], ARGV[3])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[4])
return 1
