-- Ends a load: keeps its value unless something newer was written or the key was
-- invalidated since its ticket was given, and frees its lock.
--
-- KEYS value state
-- ARGV ticket, frame without its ticket ('': there is nothing to keep), life of the
--      value in ms, life of the state in ms
-- -> 1 kept | 0 too late, or nothing to keep
local ticket = tonumber(ARGV[1])
local _, f, l = read(KEYS[2])
local kept = 0
if ARGV[2] ~= '' and f and ticket > f then
  redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
  redis.call('HSET', KEYS[2], 'f', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  kept = 1
end
if l and (kept == 1 or l == ticket) then redis.call('HDEL', KEYS[2], 'l', 'u', 't') end
return kept
