-- The most frequent categories of each word of a reference.
-- @SOURCE@   SELECT of at, words
-- @FROM@ @TO@  epoch ms, from <= at < to
-- @LIMIT@    categories a column
-- Answer: c (place of the column, from 1), word, rows; most frequent first.
SELECT c, word, count() AS rows
FROM
(
  SELECT words FROM (@SOURCE@)
  WHERE at >= fromUnixTimestamp64Milli(toInt64(@FROM@), 'UTC') AND at < fromUnixTimestamp64Milli(toInt64(@TO@), 'UTC')
)
ARRAY JOIN words AS word, arrayEnumerate(words) AS c
WHERE word != ''
GROUP BY c, word
ORDER BY c, rows DESC, word
LIMIT @LIMIT@ BY c
