-- One page of a consumer group, without waiting, for the holder of a lease.
-- KEYS: stream [, lease]   ARGV: group, consumer, count, id, token
-- Returns { ms since 1970 on this server, entries }.
if KEYS[2] and redis.call('GET', KEYS[2]) ~= ARGV[5] then
  return redis.error_reply('FENCED the lease is held by another')
end
local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], ARGV[4])
if reply and reply.err then return reply end
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
if not reply or not reply[1] then return { now, {} } end
return { now, reply[1][2] }
