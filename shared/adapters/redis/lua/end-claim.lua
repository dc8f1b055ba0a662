--[[
Ends a claim of claim-request.lua that did not become an SMS for certain. A claim that somebody else has taken over is left alone.

KEYS: the request. ARGV: who claimed it, the id of its SMS, and `release` (the request may be made anew) or `let go` (whoever
claims it next gets it at once, with the id that it had).
]]
local owner, id, how = unpack(ARGV)
local value = redis.call('GET', KEYS[1])
if not value then return end
local digest, itsId, itsOwner, told = string.match(value, '^o|([^|]*)|([^|]*)|[^|]*|([^|]*)|(.*)$')
if itsId ~= id or itsOwner ~= owner then return end
if how == 'release' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], table.concat({ 'o', digest, id, 0, '', told }, '|'), 'KEEPTTL') end
