-- Trues up what a call took. Composed after limits.lua.
--
-- KEYS 1 the mark of the ticket, then one for each entry
-- ARGV 1 now in µs or 0: the server's clock, 2 id,
--      then for each entry kind, max, span in µs, at in µs, cost, used

-- window_give takes back units of those dated to e.at, as far as they still count.
local function window_give(e, units)
  if type(redis.pcall('LREM', e.key, limits_int(math.min(units, WINDOW_LOG_MAX)), limits_int(e.at))) ~= 'table' then return end
  local seen = redis.pcall('HMGET', e.key, 'h', 's', 'w')
  local head, sum, width = tonumber(seen[1]), tonumber(seen[2]), tonumber(seen[3])
  if not head or not sum or not width then return end
  local index = math.floor(e.at / width)
  if index > head or index < head - WINDOW_BUCKETS then return end
  local slot = window_slot(index)
  local count = tonumber(redis.call('HGET', e.key, slot) or 0)
  units = math.min(units, count)
  redis.call('HSET', e.key, 's', limits_int(sum - units), slot, limits_int(count - units))
end

-- bucket_shift takes units more out of the bucket, or puts -units back in, under
-- the limit it was last written with. What is put back a span later is none: the
-- bucket has refilled by itself.
local function bucket_shift(e, now, units)
  if units < 0 and now - e.at >= e.span then return end
  local _, _, max, span = bucket_state(e.key)
  e.max, e.span = max or e.max, span or e.span
  if e.max < 1 then return end
  e.cost = math.max(0, units)
  bucket_check(e, now)
  if units < 0 then
    local step, over = mul_div(e.span, math.min(-units, e.max), e.max)
    e.full, e.part = e.full - step, e.part - over
    if e.part < 0 then e.full, e.part = e.full - 1, e.part + e.max end
    if e.full < now then
      redis.call('DEL', e.key)
      return
    end
  end
  bucket_write(e, now)
end

-- limits_finish(list, now, id, mark) trues up what was taken: an entry brings kind, key,
-- max, span, at and cost as reported, and used. What was not used is given back to
-- the moment it was taken at; what was used beyond the cost is added now, over the
-- limit if need be; a place is given back. A second finish finds the mark that the
-- first one left at the key mark, which lives for as long as anything could be given
-- back, and does nothing; a place can be given back but once by itself.
local function limits_finish(list, now, id, mark)
  local life
  for i = 1, #list do
    local e = list[i]
    if e.kind == 'c' then
      redis.pcall('ZREM', e.key, id)
    elseif e.used ~= e.cost then
      life = math.max(life or 0, e.span)
    end
  end
  if not life then return end
  if not redis.call('SET', mark, '1', 'NX', 'PX', limits_int(math.ceil(life / 1000) + 60000)) then return end
  for i = 1, #list do
    local e = list[i]
    local over = (e.used or 0) - e.cost
    if e.kind == 'b' and over ~= 0 then
      bucket_shift(e, now, over)
    elseif e.kind == 'w' and over < 0 then
      window_give(e, -over)
    elseif e.kind == 'w' and over > 0 then
      e.cost = over
      window_check(e, now)
      window_add(e)
    end
  end
end

local now = tonumber(ARGV[1])
if now == 0 then now = now_us() end
local list = {}
for i = 1, #KEYS - 1 do
  local at = 6 * i - 4
  list[i] = { kind = ARGV[at + 1], key = KEYS[i + 1], max = tonumber(ARGV[at + 2]), span = tonumber(ARGV[at + 3]),
    at = tonumber(ARGV[at + 4]), cost = tonumber(ARGV[at + 5]), used = tonumber(ARGV[at + 6]) }
end
limits_finish(list, now, ARGV[2], KEYS[1])
return 1
