-- Compare and set one document.
-- KEYS[1]  hash of documents
-- ARGV[1]  id
-- ARGV[2]  '1' where a text is expected, '0' where none is
-- ARGV[3]  the expected text
-- ARGV[4]  '1' to write, '0' to remove
-- ARGV[5]  the next text
-- Answers 1 where it was as expected, else 0.
local found = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[2] == '1' then
  if found ~= ARGV[3] then return 0 end
elseif found then
  return 0
end
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
