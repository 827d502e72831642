-- What the entry selected when a run began, as a hash: whether an answer of that run holds for the entry of now. NULL for
-- runs of earlier versions, of which that is not known.
ALTER TABLE runs ADD COLUMN selection TEXT;
