-- Begins a load: gives a ticket and, if it is free, the lock.
--
-- KEYS value state
-- ARGV ticket of the value that the caller has seen ('': none), life of the lock in µs,
--      life of the state in ms, '1': load in any case, versions of the key's tags
-- -> { 'newer' }            there is another value than the one seen: no ticket
--    { 'locked', ticket }   the lock is the caller's
--    { 'free', ticket }     not locked, but the caller loads in any case
--    { 'busy' }             another load holds the lock: no ticket
local head = redis.pcall('GETRANGE', KEYS[1], 0, 15)
if type(head) == 'table' then
  redis.call('DEL', KEYS[1])
  head = ''
end
if head ~= '' and head ~= ARGV[1] then return { 'newer' } end

local now = now_us()
local s, f, l, u, t = read(KEYS[2])
-- A lock from before a tag was invalidated is nothing to wait for; nor is one that a
-- clock's step back would make last.
local busy = l and u and u > now and u <= now + tonumber(ARGV[2]) and t == ARGV[5]
if busy and ARGV[4] ~= '1' then return { 'busy' } end

local ticket = next_ticket(s, now)
redis.call('HSET', KEYS[2], 's', written(ticket))
if not f then redis.call('HSET', KEYS[2], 'f', written(ticket - 1)) end
if not busy then
  redis.call('HSET', KEYS[2], 'l', written(ticket), 'u', written(now + tonumber(ARGV[2])), 't', ARGV[5])
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return { busy and 'free' or 'locked', written(ticket) }
