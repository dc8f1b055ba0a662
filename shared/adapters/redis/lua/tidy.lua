--[[
Moves runs on, forgets settings of senders that are gone, and sums how often they were throttled.

KEYS: the generation of the valid counters. ARGV: prefix, generation, recorder, KEEP_TIME in ms. Answers 1 where there is more to do.

  open --nothing in progress, unchanged for a minute (or KEEP_TIME)--> summed --KEEP_TIME after its last change--> (nothing)
  summed --changes--> open

`runs` holds the open runs, `runs:changed` when each of them changed last, `runs:summed` the same of the runs whose sums are in
`total`. A run with something in progress is looked at again a minute later.

After all senders were away no run is moved for a minute: a journal message that was counted and not acknowledged comes again, and
an announcement of a run that was just forgotten would tell of SMS that never come.

Older versions know no total: a summed run that they change would be counted twice. So no run is moved while a sender lives that
does not move runs on. Where an older version has changed a summed run all the same (it was taken into use again for a while), the
counters are made again from S3.
]]
if not areCountersValid() then return lost end
local RUNS_PER_CALL = 100
local keepSeconds = math.ceil(tonumber(ARGV[4]) / 1000)
local runs, changed, summed = prefix .. ':runs', prefix .. ':runs:changed', prefix .. ':runs:summed'
local alive, tidying, senders = prefix .. ':alive', prefix .. ':tidying', prefix .. ':senders'
local total, stillSeconds = prefix .. ':total', math.min(RUN_STILL_SECONDS, keepSeconds)

local newest = redis.call('ZREVRANGE', tidying, 0, 0, 'WITHSCORES')[2]
local wereAllAway = not newest or tonumber(newest) <= second - GONE_AFTER_SECONDS
redis.call(wereAllAway and 'HSET' or 'HSETNX', total, 'since', second)
redis.call('ZADD', tidying, second, recorder)
redis.call('ZREMRANGEBYSCORE', tidying, '-inf', second - 3600)
local function livingIn(key) return redis.call('ZCOUNT', key, second - GONE_AFTER_SECONDS, '+inf') end
if livingIn(alive) > livingIn(tidying) then return 0 end

if redis.call('HLEN', senders) > redis.call('ZCARD', alive) then
  for _, sender in ipairs(redis.call('HKEYS', senders)) do
    if not redis.call('ZSCORE', alive, sender) then redis.call('HDEL', senders, sender) end
  end
end

-- Each sender tells a number of its own. One that was frozen for hours and goes on tells it again.
local throttled, left = prefix .. ':throttled', prefix .. ':throttled:left'
for _, sender in ipairs(redis.call('HKEYS', throttled)) do
  if redis.call('ZSCORE', alive, sender) then redis.call('ZREM', left, sender)
  elseif sender ~= 'gone' then redis.call('ZADD', left, 'NX', second, sender) end
end
for _, sender in ipairs(redis.call('ZRANGEBYSCORE', left, '-inf', second - keepSeconds)) do
  redis.pcall('HINCRBY', throttled, 'gone', redis.call('HGET', throttled, sender) or 0)
  redis.call('HDEL', throttled, sender)
  redis.call('ZREM', left, sender)
end

-- A run that an older version has opened has no second yet.
if redis.call('SCARD', runs) ~= redis.call('ZCARD', changed) then
  for _, run in ipairs(redis.call('SMEMBERS', runs)) do
    if redis.call('ZADD', changed, 'NX', second, run) == 1 and redis.call('ZSCORE', summed, run) then
      redis.call('DEL', KEYS[1])
      return lost
    end
  end
end

if second - redis.call('HGET', total, 'since') < stillSeconds then return 0 end

local still = redis.call('ZRANGEBYSCORE', changed, '-inf', second - stillSeconds, 'WITHSCORES', 'LIMIT', 0, RUNS_PER_CALL)
for index = 1, #still, 2 do
  local run, at = still[index], still[index + 1]
  -- A key that somebody has spoiled stays as it is.
  local isRead, ended, inProgress = pcall(booksOf, run)
  if isRead and inProgress == 0 then
    moveSums(run, ended, true)
    redis.call('SREM', runs, run)
    redis.call('ZREM', changed, run)
    redis.call('ZADD', summed, at, run)
  else redis.call('ZADD', changed, second, run) end
end

-- At least a second after Redis forgot the last SMS of the run.
local over = redis.call('ZRANGEBYSCORE', summed, '-inf', second - keepSeconds - 1, 'LIMIT', 0, RUNS_PER_CALL)
for _, run in ipairs(over) do
  redis.call('ZREM', summed, run)
  redis.call('DEL', prefix .. ':run:' .. run)
  redis.call('HDEL', total, 'conflict:' .. run)
  redis.call('HINCRBY', total, 'gone', 1)
end
if #over > 0 then redis.call('HINCRBY', total, 'moves', 1) end
return (#still == 2 * RUNS_PER_CALL or #over == RUNS_PER_CALL) and 1 or 0
