-- Every statistic of drift inside ClickHouse, from the rows themselves.
-- @REFERENCE@ @CURRENT@  SELECTs of numbers, each of its window alone
-- @START@ @LENGTH@  columns to compare: the place of the first, from 1, and how many
-- @GROUPS@   for each of them the number of its group
-- @LAST@     for each of them the number of its last group
-- @MISSING@  group of what is missing: above every other
-- Answer: a row a column with rows: c (from 1 on @START@); of the reference (_r) and the current window (_c) the rows, the
-- missing ones, least and most value; psi, js, ks, wasserstein (exact), deviation (of the reference); chi_squared with its
-- degrees and its effect; unseen, rows in the column's last group, and of the current window in those the reference lacks.
SELECT
  c, rows_r, rows_c, missing_r, missing_c, psi, js, chi_squared, degrees, chi_effect, ks, wasserstein, deviation,
  unseen_r, unseen_c,
  arrayMin(xs_r) AS min_r, arrayMax(xs_r) AS max_r, arrayMin(xs_c) AS min_c, arrayMax(xs_c) AS max_c
FROM
(
  WITH
    1e-4 AS psi_floor,
    5 AS least_expected
  SELECT
    c,
    arraySum(a) AS rows_r,
    arraySum(b) AS rows_c,
    arraySum((g, k) -> if(g = @MISSING@, k, 0), g, a) AS missing_r,
    arraySum((g, k) -> if(g = @MISSING@, k, 0), g, b) AS missing_c,
    [@LAST@][c] AS last,
    arraySum((h, r) -> if(h = last, r, 0), g, a) AS unseen_r,
    arraySum((h, r, k) -> if(h = last OR (r = 0 AND h != @MISSING@), k, 0), g, a, b) AS unseen_c,
    rows_r - missing_r AS n,
    rows_c - missing_c AS m,
    arrayMap(k -> k / rows_r, a) AS p,
    arrayMap(k -> k / rows_c, b) AS q,
    arrayMap(u -> greatest(u, psi_floor), p) AS p_floored,
    arrayMap(v -> greatest(v, psi_floor), q) AS q_floored,
    arraySum((u, v) -> (v - u) * log(v / u), p_floored, q_floored) AS psi,
    arraySum((u, v) -> if(u > 0, u * log2(2 * u / (u + v)), 0), p, q) AS from_reference,
    arraySum((u, v) -> if(v > 0, v * log2(2 * v / (u + v)), 0), p, q) AS from_current,
    sqrt(least(1, greatest(0, (from_reference + from_current) / 2))) AS js,
    sqrt(least(1, arraySum((u, v) -> if(u + v > 0, pow(u - v, 2) / (u + v) / 2, 0), p, q))) AS chi_effect,
    arrayMap((k, l) -> (k + l) * least(rows_r, rows_c) / (rows_r + rows_c) >= least_expected, a, b) AS large,
    arraySum((k, keep) -> if(keep, 0, k), a, large) AS small_r,
    arraySum((k, keep) -> if(keep, 0, k), b, large) AS small_c,
    arrayConcat(
      arrayFilter((k, keep) -> keep, arrayZip(a, b), large),
      arrayFilter(k -> k.1 + k.2 > 0, [(small_r, small_c)])
    ) AS cells,
    length(cells) - 1 AS degrees,
    arrayMap(k -> (k.1 + k.2) * rows_r / (rows_r + rows_c), cells) AS expected_r,
    arrayMap(k -> (k.1 + k.2) * rows_c / (rows_r + rows_c), cells) AS expected_c,
    arraySum((k, e, f) -> pow(k.1 - e, 2) / e + pow(k.2 - f, 2) / f, cells, expected_r, expected_c) AS chi_squared,
    arrayMap((u, v) -> abs(u / n - v / m), arrayCumSum(points.2), arrayCumSum(points.3)) AS apart,
    arrayMax(apart) AS ks,
    arraySum((d, width) -> d * width, arrayPopBack(apart), arrayPopFront(arrayDifference(points.1))) AS wasserstein,
    arraySum((x, k) -> x * k, points.1, points.2) / n AS mean_r,
    sqrt(arraySum((x, k) -> k * pow(x - mean_r, 2), points.1, points.2) / n) AS deviation,
    arrayMap(t -> t.1, arrayFilter(t -> t.2 > 0, points)) AS xs_r,
    arrayMap(t -> t.1, arrayFilter(t -> t.3 > 0, points)) AS xs_c
  FROM
  (
    SELECT
      c,
      groupArray(group) AS g,
      groupArray(r) AS a,
      groupArray(k) AS b,
      arraySort(arrayFlatten(groupArray(if(group = @MISSING@, [], pts)))) AS points
    FROM
    (
      SELECT c, group, sum(r1) AS r, sum(k1) AS k, groupArray((x, r1, k1)) AS pts
      FROM
      (
        SELECT c, group, x, countIf(side = 0) AS r1, countIf(side = 1) AS k1
        FROM
        (
          SELECT
            c,
            side,
            abs(number) <= 1e100 AS present,
            if(present, number + toFloat64(0), 0) AS x,
            if(present, own, @MISSING@) AS group
          FROM
          (
            SELECT side, arraySlice(numbers, @START@, @LENGTH@) AS chosen, [@GROUPS@] AS owns
            FROM (SELECT 0 AS side, numbers FROM (@REFERENCE@) UNION ALL SELECT 1 AS side, numbers FROM (@CURRENT@))
          )
          ARRAY JOIN chosen AS number, owns AS own, arrayEnumerate(chosen) AS c
        )
        GROUP BY c, group, x
      )
      GROUP BY c, group
    )
    GROUP BY c
  )
)
ORDER BY c
