-- Who works, and what there is to do. Every instant is of this database's clock, so that no other clock counts.

-- The one clock. Tests replace it.
CREATE FUNCTION transship.clock() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT pg_catalog.now()';

-- Whether a lease lasts. One that ends in more than twice its length was given before the clock was set back: its owner
-- may be dead, and nobody would take over for as long.
CREATE FUNCTION transship.lives(lease_until timestamptz) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
        SELECT lease_until > transship.clock()
           AND lease_until < transship.clock() + pg_catalog.make_interval(mins => 2)
    $$;

-- Configurations, in the order in which they were published.
CREATE TABLE transship.configs (
    version      bigint      PRIMARY KEY,
    level        integer     NOT NULL,  -- what a worker has to understand to run it
    body         text        NOT NULL,
    published_by text        NOT NULL,
    published_at timestamptz NOT NULL
);

-- A process that works. Its name may return, its id never does.
CREATE TABLE transship.workers (
    id          uuid        PRIMARY KEY,
    name        text        NOT NULL,
    egress      text        NOT NULL,
    version     text        NOT NULL,   -- of the program, to be shown
    level       integer     NOT NULL,   -- what it understands
    config      bigint,                 -- the configuration that it runs; NULL until it runs one
    sources     text[]      NOT NULL,   -- registries that it reaches; none for all
    targets     text[]      NOT NULL,
    is_draining boolean     NOT NULL DEFAULT false,
    started_at  timestamptz NOT NULL,
    lease_until timestamptz NOT NULL    -- what it holds is its own until then
);

CREATE INDEX workers_by_name ON transship.workers (name, lease_until);

-- A duty: a route of a mirror, or the discovery of a mirror's routes.
CREATE TABLE transship.units (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text        NOT NULL UNIQUE,
    parent        bigint      REFERENCES transship.units (id) ON DELETE CASCADE,  -- the discovery that found it
    mirror        text        NOT NULL,
    source        text        NOT NULL,   -- a registry
    targets       text[]      NOT NULL,   -- registries
    config        bigint      NOT NULL,
    level         integer     NOT NULL,
    due_at        timestamptz NOT NULL,
    steal_after   interval    NOT NULL,   -- overdue by this much, any worker may run it
    asked_at      timestamptz,            -- when somebody wanted a run at once
    -- Who runs it. No foreign key: the unit of a worker whose row is gone is free.
    worker        uuid,
    fence         bigint      NOT NULL DEFAULT 0,
    claimed_at    timestamptz,
    last_worker   text,                   -- the name of who ran it last, and has its cache
    lagging_since timestamptz,            -- the oldest of its rows in `lagging`
    last_in_sync  timestamptz,            -- the start of the last check that found nothing behind
    last_checked  timestamptz,            -- the start of the last check that compared everything
    tags          bigint      NOT NULL DEFAULT 0,
    behind        bigint      NOT NULL DEFAULT 0,
    failed        bigint      NOT NULL DEFAULT 0
);

CREATE INDEX units_by_due ON transship.units (due_at);
CREATE INDEX units_by_worker ON transship.units (worker) WHERE worker IS NOT NULL;
CREATE INDEX units_by_parent ON transship.units (parent);
CREATE INDEX units_by_mirror ON transship.units (mirror);

-- A tag that is behind. Tags in step have no row.
CREATE TABLE transship.lagging (
    unit    bigint      NOT NULL REFERENCES transship.units (id) ON DELETE CASCADE,
    target  text        NOT NULL,   -- a repository
    tag     text        NOT NULL,
    seen    text        NOT NULL,   -- the digest at the source
    since   timestamptz NOT NULL,   -- the first check that saw a difference not mirrored since
    class   text,                   -- why the last attempt failed, if it did
    message text,
    PRIMARY KEY (unit, target, tag)
);

-- A run of a unit that ended.
CREATE TABLE transship.runs (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    unit     text        NOT NULL,  -- its key
    mirror   text        NOT NULL,
    worker   text        NOT NULL,  -- its name
    ended_at timestamptz NOT NULL,
    took_ms  bigint      NOT NULL,
    result   text        NOT NULL,
    body     text        NOT NULL   -- counts and changes, as the workers write them
);

CREATE INDEX runs_by_end ON transship.runs (ended_at);
