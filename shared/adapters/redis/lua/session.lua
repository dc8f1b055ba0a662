--[[
Stands before every script: what all of them are called with, signs of life, and who rebuilds.

KEYS: the generation of the valid counters, `<Q>:generation`. It names the Redis process and data that they belong to.
ARGV: prefix (QUEUE_NAME, <Q>), generation of the Redis that is called, recorder, and what the script adds.
All other keys are made of the prefix: see keys.ts.
]]
local prefix, generation, recorder = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local second = tonumber(time[1])

-- The answer where the counters must be rebuilt, or where a try to rebuild them has lost its grant.
local lost = { err = 'COUNTERS_LOST the counters are not those of this Redis process' }
local function areCountersValid() return redis.call('GET', KEYS[1]) == generation end

--[[
Rebuilding is granted to one try of one recorder, `recorder/number of the try`. What a process that was
frozen, or a command that was late, still wants to do for an older try must not mix with the newer one. The grant names the
generation too: a Redis that is back on older data may hold the grant, but not what was restored.
]]
local grant = prefix .. ':rebuild'
local function isGrantedTo(try) return redis.call('GET', grant) == try .. '/' .. generation end
local function prolong(try)
  return isGrantedTo(try) and redis.call('PEXPIRE', grant, GONE_AFTER_SECONDS * 1000) == 1
end

--[[
Where no recorder was heard for GONE_AFTER_SECONDS, Redis was away, or the whole machine was asleep. The recorders that were
heard last have not died of it, and taking their claims over would write their outcomes twice. They get GRACE_SECONDS to say
that they still live.
]]
local function hearRecorder()
  local recorders = prefix .. ':recorders'
  local newest = redis.call('ZREVRANGE', recorders, 0, 0, 'WITHSCORES')[2]
  if newest and tonumber(newest) <= second - GONE_AFTER_SECONDS then
    local lived = redis.call('ZRANGEBYSCORE', recorders, '(' .. (newest - GONE_AFTER_SECONDS), '+inf', 'WITHSCORES')
    for index = 1, #lived, 2 do
      local half = lived[index + 1] % 1
      redis.call('ZADD', recorders, second - (GONE_AFTER_SECONDS - GRACE_SECONDS) - half, lived[index])
    end
  end
  -- The half second tells that this recorder reads the short texts of SMS.
  redis.call('ZADD', recorders, second - 0.5, recorder)
end

-- A call that counts is a sign of life of the sender and of its recorder.
local function signalLife()
  redis.call('ZADD', prefix .. ':alive', second, recorder)
  hearRecorder()
end

local function isAlive(other)
  local seen = redis.call('ZSCORE', prefix .. ':recorders', other)
  return seen and tonumber(seen) > second - GONE_AFTER_SECONDS
end

-- Whether all recorders that Redis remembers read short texts.
local function areShortTextsRead()
  local scores = redis.call('ZRANGE', prefix .. ':recorders', 0, -1, 'WITHSCORES')
  for index = 2, #scores, 2 do
    if scores[index] % 1 == 0 then return false end
  end
  return true
end
