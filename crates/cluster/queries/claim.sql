-- Takes due units. $1 worker, $2 its configuration, $3 how many, $4 the units that it runs.
--
-- The candidates are read first, and locked then. A row that another worker claimed in between has another fence, and
-- is left out when PostgreSQL checks the condition again on the locked row. Conditions on other tables are not checked
-- again: https://www.postgresql.org/docs/15/transaction-iso.html#XACT-READ-COMMITTED
--
-- A unit that is the worker's own and that it does not run is free: the answer to its claim did not arrive, or a failover
-- lost its release.
WITH me AS (
    SELECT w.id, w.name, w.level, w.sources, w.targets FROM transship.workers w
    WHERE w.id = $1 AND transship.lives(w.lease_until) AND NOT w.is_draining
), living AS (
    SELECT w.id, w.name, w.is_draining FROM transship.workers w
    WHERE transship.lives(w.lease_until)
), candidates AS MATERIALIZED (
    SELECT u.id, u.fence, u.due_at, u.lagging_since, me.name AS my_name,
        u.worker IS NOT NULL AS is_takeover,
        u.last_worker IS NOT DISTINCT FROM me.name AS is_mine
    FROM transship.units u, me
    WHERE u.due_at <= transship.clock()
      AND u.level <= me.level AND u.config <= $2
      AND (cardinality(me.sources) = 0 OR u.source = ANY (me.sources))
      AND (cardinality(me.targets) = 0 OR u.targets <@ me.targets)
      AND u.id <> ALL ($4::bigint[])
      AND (u.worker IS NULL OR u.worker = me.id OR u.worker NOT IN (SELECT id FROM living))
      AND (u.last_worker IS NULL OR u.last_worker = me.name
          OR u.due_at + u.steal_after <= transship.clock()
          OR u.last_worker NOT IN (SELECT name FROM living WHERE NOT is_draining))
    ORDER BY is_mine DESC, u.lagging_since NULLS LAST, u.due_at
    LIMIT $3::bigint * 8
), taken AS (
    SELECT u.id, c.is_takeover, c.is_mine, c.my_name
    FROM transship.units u JOIN candidates c ON c.id = u.id AND c.fence = u.fence
    ORDER BY c.is_mine DESC, c.lagging_since NULLS LAST, c.due_at
    LIMIT $3::bigint
    FOR UPDATE OF u SKIP LOCKED
)
UPDATE transship.units u
SET worker = $1, fence = u.fence + 1, claimed_at = transship.clock(),
    last_worker = taken.my_name
FROM taken WHERE u.id = taken.id
RETURNING u.id, u.key, u.mirror, u.config, u.due_at, u.fence, u.behind, u.lagging_since,
    u.last_in_sync, u.last_checked,
    taken.is_takeover AS "is_takeover!", NOT taken.is_mine AS "was_other!"
