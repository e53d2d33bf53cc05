-- Counts of the cells of numbers, by window, in one scan.
-- @SOURCE@   SELECT of at, numbers
-- @FROM@ @TO@  epoch ms, from <= at < to
-- @STEP@     length of a window, ms; the first begins at @FROM@
-- @START@ @LENGTH@  columns to count: the place of the first, from 1, and how many
-- @CELLS@    for each of them its number rounded down to an edge (-inf below the first): what names its cell
-- Answer: a row for each window and column with rows in it: w (from 0), c (from 1 on @START@), rows, missing, cells (their
-- lower edges), counts, sums, mean, m2 (sum of squared differences from it), min, max.
WITH
  fromUnixTimestamp64Milli(toInt64(@FROM@), 'UTC') AS since,
  fromUnixTimestamp64Milli(toInt64(@TO@), 'UTC') AS until
SELECT
  w,
  c,
  sum(n) AS rows,
  sumIf(n, NOT present) AS missing,
  groupArrayIf(cell, present) AS cells,
  groupArrayIf(n, present) AS counts,
  groupArrayIf(s, present) AS sums,
  arraySum(sums) / arraySum(counts) AS mean,
  sumIf(square, present) + arraySum((k, t) -> k * pow(t / k - mean, 2), counts, sums) AS m2,
  minIf(least, present) AS min,
  maxIf(most, present) AS max
FROM
(
  SELECT
    w, c, present, cell,
    count() AS n,
    sum(x) AS s,
    varPopStable(x) * n AS square,
    min(x) AS least,
    max(x) AS most
  FROM
  (
    SELECT
      w, c,
      abs(number) <= 1e100 AS present,
      if(present, number + toFloat64(0), 0) AS x,
      if(present, lower, 0) AS cell
    FROM
    (
      SELECT
        intDiv(toUnixTimestamp64Milli(at) - toInt64(@FROM@), @STEP@) AS w,
        arraySlice(numbers, @START@, @LENGTH@) AS chosen,
        [@CELLS@] AS lowers
      FROM (@SOURCE@)
      WHERE at >= since AND at < until
    )
    ARRAY JOIN chosen AS number, lowers AS lower, arrayEnumerate(chosen) AS c
  )
  GROUP BY w, c, present, cell
)
GROUP BY w, c
ORDER BY w, c
