-- What the numbers of a reference look like, so that their cells can be cut.
-- @SOURCE@   SELECT of at, numbers
-- @FROM@ @TO@  epoch ms, from <= at < to
-- @ROWS@     about so many rows are looked at, chosen by a hash of them
-- @LEVELS@   shares of the rows, rising
-- @DISTINCT@ most distinct values worth listing, and one more
-- Answer: a row for each column with a value: c (its place, from 1), quantiles (element floor(level * rows) of the sorted
-- values), distinct (rising; as long as @DISTINCT@ where there are more).
WITH
  fromUnixTimestamp64Milli(toInt64(@FROM@), 'UTC') AS since,
  fromUnixTimestamp64Milli(toInt64(@TO@), 'UTC') AS until,
  (SELECT greatest(1, intDiv(count(), @ROWS@)) FROM (@SOURCE@) WHERE at >= since AND at < until) AS thin
SELECT c, quantilesExact(@LEVELS@)(x) AS quantiles, arraySort(groupUniqArray(@DISTINCT@)(x)) AS distinct
FROM
(
  -- -0 + 0 is 0
  SELECT c, number + toFloat64(0) AS x
  FROM (SELECT numbers FROM (@SOURCE@) WHERE at >= since AND at < until AND cityHash64(at, numbers) % thin = 0)
  ARRAY JOIN numbers AS number, arrayEnumerate(numbers) AS c
  WHERE abs(x) <= 1e100
)
GROUP BY c
ORDER BY c
