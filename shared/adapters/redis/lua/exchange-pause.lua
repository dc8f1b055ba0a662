--[[
A sender tells of its pause and of how often it was throttled, and asks for the pause of all senders. May be repeated.

KEYS: the pause, the hash of the throttled. ARGV: sender, how long its pause still lasts in milliseconds or 0, how often it was
throttled since its start. Answers how long the pause still lasts in milliseconds, or 0.
]]
local own = tonumber(ARGV[2])
local left = math.max(0, redis.call('PTTL', KEYS[1]))
if own > left then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SET', KEYS[1], string.format('%.0f', now + own), 'PX', own)
  left = own
end
if ARGV[3] ~= '0' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[3]) end
return left
