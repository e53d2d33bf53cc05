#!lua name=millrace_@VERSION@
-- One commit to one view partition: compares the whole meta, then deletes, sets, appends and writes the
-- meta; all or nothing. Redis 7.0 or newer, Valkey 7.2 or newer. @VERSION@ is the hash of this text, put in by
-- the loader, so that processes of two releases can share a server.
--
-- KEYS  1                the meta
--       2 ..             keys to delete, then keys to set, then keys to append to (all of the meta's slot)
-- ARGV  1                '1' where a meta is expected, '0' where none is
--       2                the whole meta as the caller read it ('' where none)
--       3                the next meta
--       4, 5             ms until the touched logs expire; ms until the meta expires
--       6, 7             number of keys to delete; number of keys to set
--       8, 9             the server's run_id when this life of the state began ('' where not known), and the keys it
--                        had evicted by then
--       10 ..            values of the sets, then values of the appends
-- Answer {1, length ...}   committed; the length in bytes of each appended log, in order
--        {0}               conflict: the meta was not as expected; nothing was written
--        {-1, detail}      torn: a write failed half-way, or a log had to be begun on a server that has evicted keys
--                          since (it may have been there); the meta now says `torn`
-- An error is answered only where nothing was written, or where even `torn` could not be.

-- Has this server evicted keys since? One that began anew counts from 0.
local function evicted_@VERSION@(run_id, keys)
  local info = redis.call('INFO', 'server', 'stats')
  local before = info:match('run_id:(%w+)') == run_id and tonumber(keys) or 0
  return tonumber(info:match('evicted_keys:(%d+)')) > before
end

local function commit_@VERSION@(keys, argv)
  local meta = keys[1]
  local current = redis.call('GET', meta)
  if argv[1] == '1' then
    if current ~= argv[2] then return { 0 } end
  elseif current then
    return { 0 }
  end

  local log_ttl, meta_ttl = argv[4], argv[5]
  local deletes, sets = tonumber(argv[6]), tonumber(argv[7])
  local answer, size = { 1 }, 1
  local begun = false
  local call = redis.call
  -- An error in a function does not undo the writes before it: catch it and say so in the meta.
  local done, failure = pcall(function()
    local last = 1 + deletes
    for first = 2, last, 1000 do
      call('UNLINK', unpack(keys, first, math.min(first + 999, last)))
    end
    local value = 10
    for key = last + 1, last + sets do
      call('SET', keys[key], argv[value], 'PX', log_ttl)
      value = value + 1
    end
    for key = last + sets + 1, #keys do
      size = size + 1
      answer[size] = call('APPEND', keys[key], argv[value])
      if answer[size] == #argv[value] then begun = true end
      call('PEXPIRE', keys[key], log_ttl)
      value = value + 1
    end
    if begun and argv[8] ~= '' and evicted_@VERSION@(argv[8], argv[9]) then
      error({ err = 'the server has evicted keys' })
    end
    call('SET', meta, argv[3], 'PX', meta_ttl)
  end)
  if done then return answer end

  local detail = type(failure) == 'table' and failure.err or tostring(failure)
  redis.call('SET', meta, 'torn', 'PX', meta_ttl)
  return { -1, detail }
end

redis.register_function('millrace_commit_@VERSION@', commit_@VERSION@)
