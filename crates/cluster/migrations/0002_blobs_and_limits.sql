-- What no worker may keep for itself: uploads that another continues, large blobs, limits that count for several, and
-- what was announced.

-- An upload that can be continued from any worker.
CREATE TABLE transship.uploads (
    registry        text        NOT NULL,
    repository      text        NOT NULL,
    digest          text        NOT NULL,
    unit            bigint      NOT NULL,   -- who saved it
    fence           bigint      NOT NULL,
    location        text        NOT NULL,   -- of the session
    acknowledged    bigint      NOT NULL,   -- bytes
    hash_state      bytea       NOT NULL,   -- of the hash over those bytes
    hash_kind       text        NOT NULL,   -- the encoding of that state
    names_next_byte boolean,                -- whether the registry reports the next byte; NULL where nobody knows
    saved_at        timestamptz NOT NULL,
    PRIMARY KEY (registry, repository, digest)
);

-- Where a large blob can be mounted from.
CREATE TABLE transship.held (
    registry   text        NOT NULL,
    digest     text        NOT NULL,
    repository text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (registry, digest, repository)
);

-- A large blob that is being sent, for as long as its sender holds the unit.
CREATE TABLE transship.flights (
    registry   text        NOT NULL,
    digest     text        NOT NULL,
    unit       bigint      NOT NULL,
    fence      bigint      NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (registry, digest)
);

-- Content of a target that may be wrong.
CREATE TABLE transship.suspects (
    registry   text        NOT NULL,
    repository text        NOT NULL,
    digest     text        NOT NULL,
    found_at   timestamptz NOT NULL,
    PRIMARY KEY (registry, repository, digest)
);

-- Traffic of an egress in a period. What a worker draws counts as used until it gives some of it back.
CREATE TABLE transship.budgets (
    egress     text        NOT NULL,
    period     text        NOT NULL,
    drawn      bigint      NOT NULL,    -- bytes
    last_grant bigint      NOT NULL,    -- bytes that the last draw got
    drawn_at   timestamptz NOT NULL,
    PRIMARY KEY (egress, period)
);

-- What a registry last reported of a quota of pulls.
CREATE TABLE transship.quotas (
    registry     text        NOT NULL,
    account      text        NOT NULL,
    quota        bigint      NOT NULL,  -- pulls in a window
    remaining    bigint      NOT NULL,
    window_ends  timestamptz NOT NULL,  -- unless something is reported before
    PRIMARY KEY (registry, account)
);

-- Pulls that a worker may make and has not reported yet. Those of a dead worker count no more.
CREATE TABLE transship.quota_draws (
    registry text   NOT NULL,
    account  text   NOT NULL,
    worker   uuid   NOT NULL,
    drawn    bigint NOT NULL,
    PRIMARY KEY (registry, account, worker),
    FOREIGN KEY (registry, account) REFERENCES transship.quotas ON DELETE CASCADE
);

-- A report or an alarm that one worker sends for all.
CREATE TABLE transship.notices (
    kind     text        NOT NULL,
    key      text        NOT NULL,
    worker   uuid        NOT NULL,
    begun_at timestamptz NOT NULL,
    sent_at  timestamptz,
    PRIMARY KEY (kind, key)
);
