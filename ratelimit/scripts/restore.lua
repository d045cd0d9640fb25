-- Enters what an instance let through while it could not ask: over the limit if need
-- be, dated to when it was. Composed after limits.lua. Told again, it does nothing, by
-- the number of the newest charge that it has entered for the instance.
--
-- KEYS 1 the limit's key, 2 that number
-- ARGV 1 now in µs or 0: the server's clock, 2 kind, 3 max, 4 span in µs,
--      then for each charge, oldest first: number, age in µs, units;
--      or for each place: its call's id, how long it lasts still in ms
-- -> charges entered, or places

-- restore_window takes the window apart and stores it with the charges.
local function restore_window(e, now, charges)
  local found, newest, total = window_load(e.key, now, e.span)
  for _, charge in ipairs(charges) do
    if charge[1] > newest - e.span then
      found[#found + 1] = charge
      total = math.min(total + charge[2], WINDOW_MOST)
    end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  if e.max > WINDOW_LOG_MAX or total > WINDOW_LOG_MAX then
    return window_store_buckets(e.key, found, newest, total, e.span)
  end
  window_store_log(e.key, found, e.span)
end

-- restore_bucket takes each charge at its time: a bucket that others have taken from
-- since is never left fuller than if the charge had come first.
local function restore_bucket(e, now, charges)
  local full, part, max, span = bucket_state(e.key)
  if not full then
    full, part = 0, 0
  elseif max ~= e.max or span ~= e.span then
    full, part = bucket_read(e, now)
  end
  for _, charge in ipairs(charges) do
    if full < charge[1] then full, part = charge[1], 0 end
    local step, over = mul_div(e.span, math.min(charge[2], e.max), e.max)
    full, part = full + step, part + over
    if part >= e.max then full, part = full + 1, part - e.max end
  end
  if full < now then return end
  e.full, e.part = full, part
  bucket_write(e, now)
end

local now = tonumber(ARGV[1])
if now == 0 then now = now_us() end
local e = { kind = ARGV[2], key = KEYS[1], max = tonumber(ARGV[3]), span = tonumber(ARGV[4]), cost = 0 }
if e.kind == 'c' then
  lease_check(e, now, '')
  for i = 5, #ARGV, 2 do
    lease_hold(e.key, now, ARGV[i], now + tonumber(ARGV[i + 1]) * 1000)
  end
  return (#ARGV - 4) / 2
end
local last, charges = tonumber(redis.call('GET', KEYS[2]) or '0') or 0, {}
for i = 5, #ARGV, 3 do
  local number = tonumber(ARGV[i])
  if number > last then
    charges[#charges + 1] = { now - tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]) }
    last = number
  end
end
if #charges == 0 or e.max < 1 then return 0 end
if e.kind == 'b' then restore_bucket(e, now, charges) else restore_window(e, now, charges) end
redis.call('SET', KEYS[2], limits_int(last), 'PX', limits_int(math.ceil(e.span / 1000) + 60000))
return #charges
