--[[
Keeps a sample of a monitor where the newest one is old enough, so that several monitors write no more than one does.

KEYS: the list of samples, the newest first, each `<second of Redis' clock> <text>`. ARGV: the text, seconds between two samples,
how many are kept, and after how many seconds without a new one all are forgotten. Answers 1 where it was kept.
]]
local second = tonumber(redis.call('TIME')[1])
local newest = tonumber(string.match(redis.call('LINDEX', KEYS[1], 0) or '', '^%d+'))
-- After the clock of Redis was set back, the newest sample is of the future.
if newest and newest <= second and second - newest < tonumber(ARGV[2]) then return 0 end
redis.call('LPUSH', KEYS[1], second .. ' ' .. ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[3] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
