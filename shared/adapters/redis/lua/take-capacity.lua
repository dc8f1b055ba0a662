--[[
An SMS asks whether the simulated carrier takes it. A bucket holds what the carrier takes within a second, at least one SMS, and
fills up steadily.

KEYS: the hash of the bucket: `left` SMS at the microsecond `at` of Redis' clock. ARGV: SMS per second.
Answers 0 where the SMS is taken, else the milliseconds until a tenth of the bucket is full, or until it holds one SMS.
]]
local perSecond = tonumber(ARGV[1])
local size = math.max(1, perSecond)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local bucket = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = size
if bucket[1] then left = math.min(size, bucket[1] + math.max(0, now - bucket[2]) / 1000000 * perSecond) end
local isTaken = left >= 1
if isTaken then left = left - 1 end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(size / perSecond * 1000) + 1000)
if isTaken then return 0 end
return math.ceil((math.max(1, size / 10) - left) / perSecond * 1000)
