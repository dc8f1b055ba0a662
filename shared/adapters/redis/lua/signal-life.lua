--[[
A sender says that it lives, and that its recorder does where it can record. Forgets senders that were gone for an hour.

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, 1 where it can record, why outcomes wait there or
empty, what the sender tells of itself (JSON) or empty. Answers how many senders live.
]]
local alive, troubles, reports = prefix .. ':alive', prefix .. ':troubles', prefix .. ':reports'
redis.call('ZADD', alive, second, recorder)
if ARGV[4] == '1' then hearRecorder() end
if ARGV[5] == '' then redis.call('HDEL', troubles, recorder) else redis.call('HSET', troubles, recorder, ARGV[5]) end
if ARGV[6] ~= '' then
  redis.call('HSET', reports, recorder, ARGV[6])
  -- A sender of an older version forgets those that are gone, and knows nothing of their reports.
  redis.call('EXPIRE', reports, 7200)
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', second - 3600, 'LIMIT', 0, 100)) do
  redis.call('ZREM', alive, gone)
  redis.call('ZREM', prefix .. ':recorders', gone)
  redis.call('HDEL', prefix .. ':senders', gone)
  redis.call('HDEL', troubles, gone)
  redis.call('HDEL', reports, gone)
end
if not areCountersValid() then return lost end
return redis.call('ZCOUNT', alive, second - GONE_AFTER_SECONDS, '+inf')
