--[[
Gives directives. One that Redis holds keeps its number.

KEYS: directives (text -> number), directives:given (text -> second), directives:head. ARGV: an epoch for a Redis that has
none, how many directives there may be, then the directives. Answers the highest number, or TOO_MANY.
]]
local second = redis.call('TIME')[1]
local fresh = 0
for index = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[index]) then fresh = fresh + 1 end
end
if fresh > 0 and redis.call('ZCARD', KEYS[1]) + fresh > tonumber(ARGV[2]) then
  return redis.error_reply('TOO_MANY directives')
end
redis.call('HSETNX', KEYS[3], 'epoch', ARGV[1])
for index = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[index]) then
    redis.call('ZADD', KEYS[1], redis.call('HINCRBY', KEYS[3], 'last', 1), ARGV[index])
  end
  redis.call('ZADD', KEYS[2], second, ARGV[index])
end
return tonumber(redis.call('HGET', KEYS[3], 'last') or 0)
