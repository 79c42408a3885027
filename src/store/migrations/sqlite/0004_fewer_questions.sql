-- Days open again in the transaction that watches more: nobody needs to compare instants after every poll.
ALTER TABLE watched DROP COLUMN added_at;
