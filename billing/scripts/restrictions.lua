-- What a restricted API key may be used for, as a function that scripts are composed with.
--
--   key_refusal(key, model, address, now) -> status, n, models
--       key names the record; model is the model's id, or nil where none is called; address
--       as AddressBits has it, '' where it is not known; now is Redis' clock in ms.
--         nil         nothing refuses
--         'expired'   n = since when, in ms
--         'address'   the key is not for use from there
--         'model'     the key is not for that model
--         'closed'    what the key is for cannot be read, which is no freedom
--       models are those the key is for, with commas; '': any

local function key_refusal(key, model, address, now)
  local only = redis.call('HGET', key, 'only') or ''
  local expires, models, networks = string.match(only, '^(%d+)|([^|]*)|([^|]*)$')
  if not expires then return 'closed', '0', '' end
  if expires ~= '0' and now >= tonumber(expires) then return 'expired', expires, models end
  if networks ~= '' then
    local inside = false
    for network in string.gmatch(networks, '[^,]+') do
      inside = inside or string.sub(address, 1, #network) == network
    end
    if not inside then return 'address', '0', models end
  end
  if model and models ~= '' then
    local named = false
    for entry in string.gmatch(models, '[^,]+') do
      if string.sub(entry, -1) == '*' then
        named = named or string.sub(model, 1, #entry - 1) == string.sub(entry, 1, -2)
      else
        named = named or model == entry
      end
    end
    if not named then return 'model', '0', models end
  end
  return nil, '0', models
end
