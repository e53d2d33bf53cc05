-- Counts of the categories of words, by window, in one scan.
-- @SOURCE@   SELECT of at, words
-- @FROM@ @TO@  epoch ms, from <= at < to
-- @STEP@     length of a window, ms; the first begins at @FROM@
-- {kept:Array(String)}  categories that are kept, as the place of their column, a colon, and the word
-- Answer: w (from 0), c (from 1), word ('' for missing and for others), kind (0 missing, 1 kept, 2 another), rows.
SELECT
  w,
  c,
  multiIf(found = '', 0, has({kept:Array(String)}, concat(toString(c), ':', found)), 1, 2) AS kind,
  if(kind = 1, found, '') AS word,
  count() AS rows
FROM
(
  SELECT intDiv(toUnixTimestamp64Milli(at) - toInt64(@FROM@), @STEP@) AS w, words
  FROM (@SOURCE@)
  WHERE at >= fromUnixTimestamp64Milli(toInt64(@FROM@), 'UTC') AND at < fromUnixTimestamp64Milli(toInt64(@TO@), 'UTC')
)
ARRAY JOIN words AS found, arrayEnumerate(words) AS c
GROUP BY w, c, word, kind
ORDER BY w, c, word, kind
