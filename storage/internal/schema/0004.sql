-- What servers do to one mailbox, beside a person's choice about it. A mailbox with synced 0 is not asked for; its mail stays.
-- completed_at is when a pass last ended complete, also if a later one did not. refused are the server's words when it would not
-- open the mailbox, at refused_at. pass_unseen is what STATUS said when the last pass ended complete (NULL: nothing), pass_exists
-- what EXISTS said where it never agrees with the listing (NULL: it agrees). unstable counts how often in a row STATUS and EXAMINE
-- gave different UIDVALIDITYs. flags_at is when a comparison of all flags last ended, flags_uid where the present one goes on.
-- hidden_at is when such a comparison last found a change that MODSEQ had not shown (NULL: never).
ALTER TABLE mailbox ADD COLUMN synced INTEGER NOT NULL DEFAULT 1 CHECK (synced IN (0, 1));
ALTER TABLE mailbox ADD COLUMN completed_at INTEGER;
ALTER TABLE mailbox ADD COLUMN refused TEXT NOT NULL DEFAULT '';
ALTER TABLE mailbox ADD COLUMN refused_at INTEGER CHECK ((refused_at IS NULL) = (refused = ''));
ALTER TABLE mailbox ADD COLUMN pass_unseen INTEGER CHECK (pass_unseen >= 0);
ALTER TABLE mailbox ADD COLUMN pass_exists INTEGER CHECK (pass_exists >= 0);
ALTER TABLE mailbox ADD COLUMN unstable INTEGER NOT NULL DEFAULT 0 CHECK (unstable >= 0);
ALTER TABLE mailbox ADD COLUMN flags_at INTEGER;
ALTER TABLE mailbox ADD COLUMN flags_uid INTEGER NOT NULL DEFAULT 0 CHECK (flags_uid BETWEEN 0 AND 4294967295);
ALTER TABLE mailbox ADD COLUMN hidden_at INTEGER;
UPDATE mailbox SET completed_at = pass_at;

DROP VIEW mailboxes;
CREATE VIEW mailboxes AS
SELECT m.id, a.name AS account, m.path, m.role, m.delimiter, m.selectable, m.priority, m.uidvalidity, m.modseq,
       m.remote_total, m.total, m.unread, m.pass_at IS NOT NULL AS complete,
       strftime('%Y-%m-%dT%H:%M:%SZ', m.pass_at / 1000, 'unixepoch') AS completed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', m.gone_at / 1000, 'unixepoch') AS gone_at,
       m.synced, m.refused
  FROM mailbox m JOIN account a ON a.id = m.account_id;
