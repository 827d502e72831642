-- Rows of `tags` know their route, and whether it still asks for them; tables carry the field's words.

-- The tag's name at the source; NULL in rows of older versions until a run sees the tag again.
ALTER TABLE tags ADD COLUMN source_tag TEXT;
-- Whether no route asks for the tag any more: it does not lag, and its damage does not count.
ALTER TABLE tags ADD COLUMN is_released INTEGER NOT NULL DEFAULT 0;
-- The tag at the target that needs the digest, where that kept this one from being pruned; '' where the registry
-- deletes nothing.
ALTER TABLE tags ADD COLUMN kept_for TEXT;

-- Content of a repository that is not taken for held until it was written again.
ALTER TABLE doubts RENAME TO suspect_content;
DROP INDEX doubts_by_repository;
CREATE INDEX suspect_content_by_repository ON suspect_content (repository_id);
-- Blobs of a registry whose bytes were read and hashed.
ALTER TABLE readings RENAME TO blob_reads;
-- Verifications of all bytes of a mirror that have begun and are not complete.
ALTER TABLE rounds RENAME TO deep_verify_rounds;
