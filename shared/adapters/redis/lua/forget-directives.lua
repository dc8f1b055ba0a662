--[[
Forgets directives that were given KEEP_TIME ago and whose SMS (or run) has ended. Not at the end of the SMS: another message
of the same SMS may come back after it. Where Redis has not met the SMS, it may still wait in a queue of fresh SMS: such a
directive is kept UNMET_KEEP_TIMES as long.

KEYS: directives, directives:given, directives:met, directives:known. ARGV: prefix, KEEP_TIME in seconds, how many to pass
over. Answers how many the next call passes over, or -1 at the end.
]]
local PAGE, UNMET_KEEP_TIMES, SENDER_KEEP_SECONDS = 1000, 30, 3600
local prefix, keep, offset = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local second = tonumber(redis.call('TIME')[1])

local function hasEnded(kind, name)
  if kind == 'cancel-run' then
    if redis.call('SISMEMBER', prefix .. ':runs', name) == 1 then return false end
    return redis.call('ZSCORE', prefix .. ':runs:summed', name) and true or nil
  end
  local sms = redis.call('GET', prefix .. ':sms:' .. name)
  if not sms then return nil end
  return string.sub(sms, 1, 1) ~= 'p'
end

local page = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', second - keep, 'WITHSCORES', 'LIMIT', offset, PAGE)
local forgotten = 0
for index = 1, #page, 2 do
  local text = page[index]
  local kind, name = string.match(text, '^([^|]*)|([^|]*)')
  local ended = hasEnded(kind, name or '')
  if ended or (ended == nil and tonumber(page[index + 1]) <= second - UNMET_KEEP_TIMES * keep) then
    redis.call('ZREM', KEYS[1], text)
    redis.call('ZREM', KEYS[2], text)
    redis.call('HDEL', KEYS[3], text)
    forgotten = forgotten + 1
  end
end
if offset == 0 then
  local senders = redis.call('HGETALL', KEYS[4])
  for index = 1, #senders, 2 do
    local at = tonumber(string.match(senders[index + 1], '|(%d+)$') or 0)
    if at < second - SENDER_KEEP_SECONDS then redis.call('HDEL', KEYS[4], senders[index]) end
  end
end
return #page == 2 * PAGE and offset + PAGE - forgotten or -1
