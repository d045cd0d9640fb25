-- Functions that the other scripts are composed with.
--
-- The state of a key is a hash: s the last ticket given out, f the ticket of the last
-- write or invalidation, l the ticket of the load that holds the lock, u until when, µs, t what
-- the versions of the key's tags were when it took it.
-- Tickets are µs of this Redis' clock where that moves ahead, and else one more than the
-- last. A state without f has never been here or is forgotten: no ticket of before may
-- write then.

local function now_us()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

local function written(n) return string.format('%016.0f', n) end

-- read returns a key's s, f, l and u as numbers, and t (nil: none). A key of a wrong type is
-- removed: it is nothing of ours.
local function read(state)
  local got = redis.pcall('HMGET', state, 's', 'f', 'l', 'u', 't')
  if got.err then
    redis.call('DEL', state)
    return nil, nil, nil, nil, nil
  end
  return tonumber(got[1] or nil), tonumber(got[2] or nil), tonumber(got[3] or nil), tonumber(got[4] or nil), got[5]
end

-- next_ticket is above all before it, and above the clock's last microsecond.
local function next_ticket(last, now)
  if last and last >= now then return last + 1 end
  return now
end
