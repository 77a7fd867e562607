-- A row is an email whose view (subject, people, dates, preview) an older reader made. It is made again from the blob in the
-- background, and the row goes in the transaction that writes the new view. meta 'reader' is the version that all others have.
CREATE TABLE outdated_view (
  email_id INTEGER PRIMARY KEY REFERENCES email (id) ON DELETE CASCADE
) STRICT;

-- A row is an entry whose bytes are missing or damaged. Its message is downloaded again by the next pass that opens the
-- mailbox, and the row goes when the bytes have come.
CREATE TABLE refetch (
  entry_id INTEGER PRIMARY KEY REFERENCES entry (id) ON DELETE CASCADE
) STRICT;

-- A row is a JMAP id that an email had before. It is looked up where somebody brings an id, for 30 days.
CREATE TABLE email_alias (
  jmap_id    TEXT PRIMARY KEY CHECK (length(jmap_id) BETWEEN 1 AND 255),
  email_id   INTEGER NOT NULL REFERENCES email (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_alias_email ON email_alias (email_id);
CREATE INDEX email_alias_created ON email_alias (created_at);

-- removed_at is when a removal of the account began. From then on nothing shows it, and its rows go in small transactions. The
-- account's own row goes last.
ALTER TABLE account ADD COLUMN removed_at INTEGER;

DROP VIEW accounts;
CREATE VIEW accounts AS
SELECT id, name, user, host, port, security, state, pause_class, pause_reason,
       strftime('%Y-%m-%dT%H:%M:%SZ', paused_at / 1000, 'unixepoch') AS paused_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', last_success_at / 1000, 'unixepoch') AS last_success_at,
       server_id, capabilities
  FROM account WHERE removed_at IS NULL;

DROP VIEW mailboxes;
CREATE VIEW mailboxes AS
SELECT m.id, a.name AS account, m.path, m.role, m.delimiter, m.selectable, m.priority, m.uidvalidity, m.modseq,
       m.remote_total, m.total, m.unread, m.pass_at IS NOT NULL AS complete,
       strftime('%Y-%m-%dT%H:%M:%SZ', m.pass_at / 1000, 'unixepoch') AS completed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', m.gone_at / 1000, 'unixepoch') AS gone_at,
       m.synced, m.refused
  FROM mailbox m JOIN account a ON a.id = m.account_id
 WHERE a.removed_at IS NULL;

DROP VIEW threads;
CREATE VIEW threads AS
SELECT t.jmap_id AS thread_id, a.name AS account, count(*) AS emails,
       strftime('%Y-%m-%dT%H:%M:%SZ', min(e.received_at) / 1000, 'unixepoch') AS first_date,
       strftime('%Y-%m-%dT%H:%M:%SZ', max(e.received_at) / 1000, 'unixepoch') AS last_date,
       (SELECT subject FROM email WHERE thread_id = t.id AND live > 0 ORDER BY received_at, id LIMIT 1) AS subject
  FROM thread t JOIN account a ON a.id = t.account_id JOIN email e ON e.thread_id = t.id AND e.live > 0
 WHERE a.removed_at IS NULL
 GROUP BY t.id;

DROP VIEW sync_coverage;
CREATE VIEW sync_coverage AS
SELECT a.name AS account, m.path AS mailbox, c.uidvalidity, c.level, c.lo, c.hi
  FROM coverage c JOIN mailbox m ON m.id = c.mailbox_id JOIN account a ON a.id = m.account_id
 WHERE a.removed_at IS NULL;

DROP VIEW changes;
CREATE VIEW changes AS
SELECT a.name AS account, c.type, c.object_id, c.created_no, c.changed_no, c.destroyed,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.changed_at / 1000.0, 'unixepoch') AS changed_at
  FROM change c JOIN account a ON a.id = c.account_id
 WHERE a.removed_at IS NULL;

-- The row says what the search index is made of: the spelling of table search (package query), and the spelling of table
-- search_next, which is being built and takes its place (NULL: none is), and up to which email that one is written.
CREATE TABLE index_state (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  spelling INTEGER NOT NULL,
  next     INTEGER,
  built    INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO index_state (id, spelling) VALUES (1, 1);

-- in: asks which emails a mailbox shows.
CREATE INDEX entry_shown ON entry (mailbox_id, uidvalidity, email_id) WHERE expunged_at IS NULL;
