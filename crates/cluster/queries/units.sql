-- Inserts and changes units. $1 the unit that discovered them, $2 configuration, $3 level; $4 to $9 the units, as columns.
INSERT INTO transship.units AS u
    (key, parent, mirror, source, targets, config, level, due_at, steal_after)
SELECT DISTINCT ON (s.key) s.key, $1::bigint, s.mirror, s.source,
    string_to_array(s.targets, E'\n'), $2::bigint, $3::integer,
    transship.clock() + make_interval(secs => s.due_in),
    make_interval(secs => s.steal_after)
FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::float8[], $9::float8[])
    AS s (key, mirror, source, targets, due_in, steal_after)
ORDER BY s.key
ON CONFLICT (key) DO UPDATE
SET parent = excluded.parent, mirror = excluded.mirror, source = excluded.source,
    targets = excluded.targets, config = excluded.config, level = excluded.level,
    steal_after = excluded.steal_after, due_at = least(u.due_at, excluded.due_at)
WHERE (u.parent, u.mirror, u.source, u.targets, u.config, u.level, u.steal_after)
    IS DISTINCT FROM (excluded.parent, excluded.mirror, excluded.source,
        excluded.targets, excluded.config, excluded.level, excluded.steal_after)
