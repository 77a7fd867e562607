-- A row is a place where mail comes from: an IMAP login (imap), or mail without a server (local). secret_ref says where the
-- password comes from and never holds it. Identity is (user, endpoint). endpoint is the host, with the port on a loopback host,
-- where several servers may listen. bodies: whose bodies are fetched (90d: those of the last 90 days). keep: how long mail stays
-- that the server no longer has; mirror is the retention of all that is deleted.
CREATE TABLE account_rebuilt (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  kind            TEXT NOT NULL DEFAULT 'imap' CHECK (kind IN ('imap', 'local')),
  name            TEXT NOT NULL UNIQUE CHECK (name <> ''),
  user            TEXT CHECK (user <> ''),
  host            TEXT CHECK (host <> ''),
  port            INTEGER CHECK (port BETWEEN 1 AND 65535),
  security        TEXT CHECK (security IN ('tls', 'starttls', 'plain')),
  endpoint        TEXT AS (CASE WHEN lower(host) = 'localhost' OR host GLOB '127.*' AND host NOT GLOB '*[^0-9.]*'
                             OR trim(host, '[]') IN ('::1', '0:0:0:0:0:0:0:1') OR lower(trim(host, '[]')) GLOB '::ffff:127.*'
                           THEN host || ':' || port ELSE host END) VIRTUAL,
  insecure        INTEGER NOT NULL DEFAULT 0 CHECK (insecure IN (0, 1)),
  secret_ref      TEXT NOT NULL DEFAULT '',
  state           TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
  pause_class     TEXT NOT NULL DEFAULT '',
  pause_reason    TEXT NOT NULL DEFAULT '',
  paused_at       INTEGER,
  server_id       TEXT NOT NULL DEFAULT '',
  capabilities    TEXT NOT NULL DEFAULT '',
  created_at      INTEGER NOT NULL,
  last_success_at INTEGER,
  bodies          TEXT NOT NULL DEFAULT 'all'
                  CHECK (bodies IN ('all', 'headers', 'off') OR bodies GLOB '[1-9]*d' AND rtrim(bodies, 'd') NOT GLOB '*[^0-9]*'),
  keep            TEXT NOT NULL DEFAULT 'mirror'
                  CHECK (keep IN ('mirror', 'forever') OR keep GLOB '[1-9]*d' AND rtrim(keep, 'd') NOT GLOB '*[^0-9]*'),
  UNIQUE (user, endpoint),
  CHECK ((state = 'paused') = (paused_at IS NOT NULL)),
  CHECK (kind = 'local' OR user IS NOT NULL AND host IS NOT NULL AND port IS NOT NULL AND security IS NOT NULL)
) STRICT;
INSERT INTO account_rebuilt (id, name, user, host, port, security, insecure, secret_ref, state, pause_class, pause_reason, paused_at,
    server_id, capabilities, created_at, last_success_at)
  SELECT id, name, user, host, port, security, insecure, secret_ref, state, pause_class, pause_reason, paused_at,
    server_id, capabilities, created_at, last_success_at FROM account;
--! replace account

-- A row is one mailbox of an account, live or gone. raw is its name as the server writes it, path what a person reads. priority
-- is what its role gives it, chosen_priority a person's choice. uidvalidity is the generation the views show (0: none yet),
-- building the one being fetched beside it. own_validity: a number of ours, for a server that gives none. object_id: the server's
-- MAILBOXID (RFC 8474). modseq: the flags of every entry shown are current up to it. pass_*: what the server said when the last
-- pass ended complete. bodies and keep: as in account, whose values hold where they are NULL.
CREATE TABLE mailbox_rebuilt (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id      INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  raw             BLOB NOT NULL,
  path            TEXT NOT NULL,
  delimiter       TEXT NOT NULL DEFAULT '',
  role            TEXT NOT NULL DEFAULT '',
  attributes      TEXT NOT NULL DEFAULT '',
  selectable      INTEGER NOT NULL DEFAULT 1 CHECK (selectable IN (0, 1)),
  priority        INTEGER NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),
  chosen_priority INTEGER CHECK (chosen_priority BETWEEN 1 AND 10),
  object_id       TEXT CHECK (object_id <> ''),
  uidvalidity     INTEGER NOT NULL DEFAULT 0 CHECK (uidvalidity BETWEEN 0 AND 4294967295),
  building        INTEGER CHECK (building BETWEEN 0 AND 4294967295),
  own_validity    INTEGER CHECK (own_validity BETWEEN 1 AND 4294967295),
  modseq          INTEGER NOT NULL DEFAULT 0 CHECK (modseq >= 0),
  remote_total    INTEGER NOT NULL DEFAULT 0 CHECK (remote_total >= 0),
  pass_uidnext    INTEGER NOT NULL DEFAULT 0,
  pass_total      INTEGER NOT NULL DEFAULT 0,
  pass_modseq     INTEGER NOT NULL DEFAULT 0,
  pass_at         INTEGER,
  total           INTEGER NOT NULL DEFAULT 0 CHECK (total >= 0),
  unread          INTEGER NOT NULL DEFAULT 0 CHECK (unread >= 0),
  bodies          TEXT CHECK (bodies IN ('all', 'headers', 'off') OR bodies GLOB '[1-9]*d' AND rtrim(bodies, 'd') NOT GLOB '*[^0-9]*'),
  keep            TEXT CHECK (keep IN ('mirror', 'forever') OR keep GLOB '[1-9]*d' AND rtrim(keep, 'd') NOT GLOB '*[^0-9]*'),
  gone_at         INTEGER,
  CHECK (building IS NULL OR building <> uidvalidity)
) STRICT;
INSERT INTO mailbox_rebuilt (id, account_id, raw, path, delimiter, role, attributes, selectable, priority, uidvalidity, building, modseq,
    remote_total, pass_uidnext, pass_total, pass_modseq, pass_at, total, unread, gone_at)
  SELECT id, account_id, raw, path, delimiter, role, attributes, selectable, priority, uidvalidity, building, modseq,
    remote_total, pass_uidnext, pass_total, pass_modseq, pass_at, total, unread, gone_at FROM mailbox;
CREATE UNIQUE INDEX mailbox_name ON mailbox_rebuilt (account_id, raw) WHERE gone_at IS NULL;
--! replace mailbox
-- Made only now: a new table with as many roots as the old one takes the old one's place, where salvaging looks for it.
CREATE INDEX mailbox_account ON mailbox (account_id, raw);

-- Types and tasks that come later need no new table: what they are called is the program's matter. No row changes, so the rule
-- goes out of the tables' text and the rows stay where they are (https://sqlite.org/lang_altertable.html, section 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, ' CHECK (type IN (''Email'', ''Mailbox'', ''Thread''))', ' CHECK (type <> '''')')
 WHERE type = 'table' AND name = 'change';
UPDATE sqlite_schema SET sql = replace(sql, ' CHECK (task_type IN (''initial_sync'', ''folder_sync'', ''incremental_sync''))', ' CHECK (task_type <> '''')')
 WHERE type = 'table' AND name = 'sync_task';
PRAGMA writable_schema = RESET;

-- Mail that the server no longer has and the policy keeps is an entry with kept_at. It is no part of a listing.
ALTER TABLE entry ADD COLUMN kept_at INTEGER;

-- A row is an email whose search row is still to be written. Whoever stores a body puts its email here, in one transaction. Emails
-- without a body are not here, so they hold up none.
CREATE TABLE unindexed (
  email_id INTEGER PRIMARY KEY REFERENCES email (id) ON DELETE CASCADE
) STRICT;
INSERT INTO unindexed SELECT id FROM email WHERE id > coalesce((SELECT value FROM meta WHERE key = 'indexed_email'), 0);
DELETE FROM meta WHERE key = 'indexed_email';
