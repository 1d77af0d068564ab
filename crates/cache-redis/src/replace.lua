-- Puts a record in the place of what is under KEYS[1].
-- ARGV: the version that this must have ('' for any; '*' for any, and do not say what was there),
-- the record, its life in milliseconds, and the last moment at which to do it, in milliseconds of
-- the server's clock ('' for whenever).
-- Returns 0 if it is too late and nil if the version is another one; nothing was done then. 1 if the
-- version is that of the record itself: this is a second sending, and the first one was done. Else OK
-- for '*', and the first 92 bytes of what was replaced ('' if there was nothing, '?' if it was of
-- another type or empty).
if ARGV[4] ~= '' then
  local now = redis.call('TIME')
  if now[1] * 1000 + math.floor(now[2] / 1000) > tonumber(ARGV[4]) then return 0 end
end
if ARGV[1] == '*' then return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
local old = redis.pcall('GETRANGE', KEYS[1], 0, 91)
local version
if type(old) == 'table' then
  if string.sub(old['err'] or '', 1, 9) ~= 'WRONGTYPE' then return old end
  old = '?'
  version = 'redis wrong type'
elseif #old == 0 and redis.call('EXISTS', KEYS[1]) == 0 then
  version = string.rep('\0', 16)
elseif #old == 92 and string.sub(old, 1, 5) == '\206LLC\1' then
  version = string.sub(old, 9, 24)
elseif ARGV[1] ~= '' then
  local digest = redis.sha1hex(redis.call('GET', KEYS[1]))
  version = string.gsub(string.sub(digest, 1, 32), '..', function(hex)
    return string.char(tonumber(hex, 16))
  end)
end
if ARGV[1] ~= '' and ARGV[1] ~= version then
  if version == string.sub(ARGV[2], 9, 24) then return 1 end
  return false
end
if version == string.rep('\0', 16) then old = '' elseif #old == 0 then old = '?' end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return old
