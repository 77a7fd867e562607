PRAGMA application_id = 1835233140;
PRAGMA user_version = 6;
CREATE TABLE meta (
  key   TEXT PRIMARY KEY CHECK (key <> ''),
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blob (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  sha256     BLOB UNIQUE CHECK (length(sha256) = 32),
  size       INTEGER NOT NULL CHECK (size >= 0),
  stored     INTEGER NOT NULL CHECK (stored >= 0),
  state      TEXT NOT NULL CHECK (state IN ('staged', 'sealed')),
  created_at INTEGER NOT NULL,
  CHECK ((state = 'sealed') = (sha256 IS NOT NULL))
) STRICT;
CREATE INDEX blob_staged ON blob (id) WHERE state = 'staged';
CREATE TABLE blob_piece (
  blob_id INTEGER NOT NULL REFERENCES blob (id) ON DELETE CASCADE,
  n       INTEGER NOT NULL CHECK (n >= 0),
  frame   BLOB NOT NULL,
  PRIMARY KEY (blob_id, n)
) STRICT;
CREATE TABLE thread (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  jmap_id    TEXT NOT NULL UNIQUE CHECK (length(jmap_id) BETWEEN 1 AND 255)
) STRICT;
CREATE TABLE thread_reference (
  account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  key        BLOB NOT NULL CHECK (length(key) = 16),
  thread_id  INTEGER NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
  PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX thread_reference_thread ON thread_reference (thread_id);
CREATE TABLE email (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id     INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  jmap_id        TEXT NOT NULL UNIQUE CHECK (length(jmap_id) BETWEEN 1 AND 255),
  thread_id      INTEGER NOT NULL REFERENCES thread (id),
  digest         BLOB CHECK (length(digest) = 32),
  message_id     TEXT NOT NULL DEFAULT '',
  subject        TEXT NOT NULL DEFAULT '',
  sender         TEXT NOT NULL DEFAULT '',
  recipients     TEXT NOT NULL DEFAULT '',
  sent_at        INTEGER,
  received_at    INTEGER NOT NULL,
  size           INTEGER NOT NULL CHECK (size >= 0),
  preview        TEXT NOT NULL DEFAULT '',
  has_attachment INTEGER NOT NULL DEFAULT 0 CHECK (has_attachment IN (0, 1)),
  partial        INTEGER NOT NULL DEFAULT 0 CHECK (partial IN (0, 1)),
  live           INTEGER NOT NULL DEFAULT 0 CHECK (live >= 0),
  destroyed_at   INTEGER,
  CHECK (destroyed_at IS NULL OR live = 0)
) STRICT;
CREATE INDEX email_digest ON email (account_id, digest);
CREATE INDEX email_thread ON email (thread_id);
CREATE INDEX email_received ON email (account_id, received_at);
CREATE INDEX email_orphan ON email (account_id) WHERE live = 0 AND destroyed_at IS NULL;
CREATE INDEX email_destroyed ON email (destroyed_at) WHERE destroyed_at IS NOT NULL;
CREATE TABLE entry (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox_id    INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
  uidvalidity   INTEGER NOT NULL CHECK (uidvalidity BETWEEN 0 AND 4294967295),
  uid           INTEGER CHECK (uid BETWEEN 1 AND 4294967295),
  pending       TEXT CHECK (pending IN ('append', 'move')),
  email_id      INTEGER NOT NULL REFERENCES email (id),
  blob_id       INTEGER REFERENCES blob (id),
  flags         TEXT NOT NULL DEFAULT '',
  modseq        INTEGER NOT NULL DEFAULT 0 CHECK (modseq >= 0),
  internal_date INTEGER NOT NULL,
  size          INTEGER NOT NULL CHECK (size >= 0),
  expunged_at   INTEGER, kept_at INTEGER,
  UNIQUE (mailbox_id, uidvalidity, uid),
  CHECK (uid IS NOT NULL OR pending IS NOT NULL)
) STRICT;
CREATE INDEX entry_email ON entry (email_id);
CREATE INDEX entry_blob ON entry (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX entry_newest ON entry (mailbox_id, internal_date);
CREATE INDEX entry_unread ON entry (email_id) WHERE expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Seen ') = 0;
CREATE INDEX entry_flagged ON entry (email_id) WHERE expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Flagged ') > 0;
CREATE INDEX entry_expunged ON entry (expunged_at) WHERE expunged_at IS NOT NULL;
CREATE TABLE coverage (
  mailbox_id  INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
  uidvalidity INTEGER NOT NULL,
  level       TEXT NOT NULL CHECK (level IN ('header', 'body')),
  lo          INTEGER NOT NULL CHECK (lo >= 1),
  hi          INTEGER NOT NULL CHECK (hi BETWEEN lo AND 4294967295),
  PRIMARY KEY (mailbox_id, uidvalidity, level, lo)
) STRICT, WITHOUT ROWID;
CREATE TABLE change (
  account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  type       TEXT NOT NULL CHECK (type <> ''),
  object_id  TEXT NOT NULL,
  created_no INTEGER NOT NULL CHECK (created_no >= 1),
  changed_no INTEGER NOT NULL CHECK (changed_no >= created_no),
  destroyed  INTEGER NOT NULL DEFAULT 0 CHECK (destroyed IN (0, 1)),
  changed_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, type, object_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX change_no ON change (account_id, type, changed_no);
CREATE INDEX change_tombstone ON change (changed_at) WHERE destroyed = 1;
CREATE TABLE change_floor (
  account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  type       TEXT NOT NULL,
  floor_no   INTEGER NOT NULL,
  PRIMARY KEY (account_id, type)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_task (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  task_type     TEXT NOT NULL CHECK (task_type <> ''),
  folder        TEXT NOT NULL DEFAULT '',
  range         TEXT NOT NULL DEFAULT '',
  state         TEXT NOT NULL DEFAULT 'pending'
                CHECK (state IN ('pending', 'waiting', 'paused', 'processing', 'completed', 'failed', 'cancelled')),
  priority      INTEGER NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 10),
  payload       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(payload)),
  checkpoint    TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(checkpoint)),
  retry_count   INTEGER NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
  max_retries   INTEGER NOT NULL DEFAULT 5 CHECK (max_retries >= 0),
  error_log     TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(error_log)),
  generation    INTEGER NOT NULL DEFAULT 0,
  again         INTEGER NOT NULL DEFAULT 0 CHECK (again IN (0, 1)),
  message_id    TEXT,
  created_at    INTEGER NOT NULL,
  started_at    INTEGER,
  completed_at  INTEGER,
  next_retry_at INTEGER,
  CHECK ((state IN ('pending', 'waiting', 'processing')) = (message_id IS NOT NULL)),
  CHECK ((state IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
  CHECK (state <> 'waiting' OR next_retry_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX sync_task_unfinished ON sync_task (account_id, task_type, folder, range)
  WHERE state IN ('pending', 'waiting', 'paused', 'processing');
CREATE INDEX sync_task_pick ON sync_task (account_id, state, priority);
CREATE INDEX sync_task_kept ON sync_task (account_id, id) WHERE completed_at IS NOT NULL;
CREATE INDEX sync_task_message ON sync_task (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX sync_task_finished ON sync_task (completed_at) WHERE completed_at IS NOT NULL;
CREATE TABLE goqite (
  id       TEXT PRIMARY KEY DEFAULT ('m_' || lower(hex(randomblob(16)))),
  created  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  updated  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  queue    TEXT NOT NULL,
  body     BLOB NOT NULL,
  timeout  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  received INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX goqite_queue_priority_created_idx ON goqite (queue, priority DESC, created);
CREATE TABLE sync_run (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  started_at  INTEGER NOT NULL,
  ended_at    INTEGER,
  result      TEXT CHECK (result IN ('complete', 'partial', 'failed', 'interrupted')),
  mailboxes   INTEGER NOT NULL DEFAULT 0,
  fetched     INTEGER NOT NULL DEFAULT 0,
  bytes       INTEGER NOT NULL DEFAULT 0,
  quarantined INTEGER NOT NULL DEFAULT 0,
  detail      TEXT NOT NULL DEFAULT '',
  CHECK ((ended_at IS NULL) = (result IS NULL))
) STRICT;
CREATE INDEX sync_run_account ON sync_run (account_id, started_at);
CREATE TABLE sync_error (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  at          INTEGER NOT NULL,
  account_id  INTEGER REFERENCES account (id) ON DELETE CASCADE,
  mailbox_id  INTEGER REFERENCES mailbox (id) ON DELETE CASCADE,
  uid         INTEGER,
  task_id     INTEGER,
  class       TEXT NOT NULL CHECK (class IN ('network', 'timeout', 'auth', 'quota', 'parsing', 'tls', 'protocol', 'mailbox', 'conflict', 'storage', 'bug')),
  scope       TEXT NOT NULL,
  phase       TEXT NOT NULL DEFAULT '',
  command     TEXT NOT NULL DEFAULT '',
  server_text TEXT NOT NULL DEFAULT '',
  detail      TEXT NOT NULL DEFAULT '',
  next_step   TEXT NOT NULL DEFAULT '',
  attempt     INTEGER NOT NULL DEFAULT 1,
  stack       TEXT NOT NULL DEFAULT '',
  fingerprint TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX sync_error_at ON sync_error (at);
CREATE UNIQUE INDEX entry_once ON entry (email_id, mailbox_id, uidvalidity) WHERE expunged_at IS NULL;
CREATE TABLE rate (
  account_id    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  kind          TEXT NOT NULL CHECK (kind IN ('connections', 'commands', 'messages', 'bytes')),
  provider      TEXT NOT NULL,
  allowed       INTEGER NOT NULL CHECK (allowed >= 1),
  window_s      INTEGER NOT NULL CHECK (window_s >= 0),
  window_at     INTEGER NOT NULL,
  used          INTEGER NOT NULL CHECK (used >= 0),
  pace          REAL NOT NULL CHECK (pace > 0 AND pace <= 1),
  ceiling       INTEGER CHECK (ceiling >= 1),
  ceiling_until INTEGER,
  resumes_at    INTEGER,
  PRIMARY KEY (account_id, kind),
  CHECK ((ceiling IS NULL) = (ceiling_until IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TABLE rate_slot (
  account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  at         INTEGER NOT NULL,
  bytes      INTEGER NOT NULL CHECK (bytes >= 0),
  PRIMARY KEY (account_id, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE breaker (
  scope     TEXT NOT NULL CHECK (scope GLOB 'account:?*' OR scope GLOB 'host:?*'),
  class     TEXT NOT NULL,
  failures  INTEGER NOT NULL CHECK (failures >= 1),
  failed_at INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  opened_at INTEGER,
  detail    TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (scope, class)
) STRICT, WITHOUT ROWID;
CREATE TABLE sign_in (
  account_id INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  sent_at    INTEGER NOT NULL,
  silent     INTEGER NOT NULL DEFAULT 0 CHECK (silent >= 0),
  dropped    INTEGER NOT NULL DEFAULT 0 CHECK (dropped >= 0)
) STRICT;
CREATE TABLE "quarantine" (
  id          INTEGER PRIMARY KEY,
  mailbox_id  INTEGER NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
  uidvalidity INTEGER NOT NULL,
  uid         INTEGER NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
  reason      TEXT NOT NULL,
  attempts    INTEGER NOT NULL DEFAULT 1 CHECK (attempts >= 1),
  first_at    INTEGER NOT NULL,
  last_at     INTEGER NOT NULL,
  alone       INTEGER NOT NULL DEFAULT 0 CHECK (alone IN (0, 1)),
  received    INTEGER NOT NULL DEFAULT 0 CHECK (received >= 0),
  claimed     INTEGER CHECK (claimed >= 0),
  asked_at    INTEGER,
  UNIQUE (mailbox_id, uidvalidity, uid)
) STRICT;
CREATE TABLE "account" (
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
                  CHECK (keep IN ('mirror', 'forever') OR keep GLOB '[1-9]*d' AND rtrim(keep, 'd') NOT GLOB '*[^0-9]*'), removed_at INTEGER,
  UNIQUE (user, endpoint),
  CHECK ((state = 'paused') = (paused_at IS NOT NULL)),
  CHECK (kind = 'local' OR user IS NOT NULL AND host IS NOT NULL AND port IS NOT NULL AND security IS NOT NULL)
) STRICT;
CREATE TABLE "mailbox" (
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
  gone_at         INTEGER, synced INTEGER NOT NULL DEFAULT 1 CHECK (synced IN (0, 1)), completed_at INTEGER, refused TEXT NOT NULL DEFAULT '', refused_at INTEGER CHECK ((refused_at IS NULL) = (refused = '')), pass_unseen INTEGER CHECK (pass_unseen >= 0), pass_exists INTEGER CHECK (pass_exists >= 0), unstable INTEGER NOT NULL DEFAULT 0 CHECK (unstable >= 0), flags_at INTEGER, flags_uid INTEGER NOT NULL DEFAULT 0 CHECK (flags_uid BETWEEN 0 AND 4294967295), hidden_at INTEGER,
  CHECK (building IS NULL OR building <> uidvalidity)
) STRICT;
CREATE UNIQUE INDEX mailbox_name ON "mailbox" (account_id, raw) WHERE gone_at IS NULL;
CREATE TRIGGER entry_leaves AFTER UPDATE OF expunged_at ON entry WHEN old.expunged_at IS NULL AND new.expunged_at IS NOT NULL BEGIN
  UPDATE email SET live = live - 1 WHERE id = new.email_id;
  UPDATE mailbox SET total = total - 1, unread = unread - (instr(' ' || new.flags || ' ', ' \Seen ') = 0)
   WHERE id = new.mailbox_id AND uidvalidity = new.uidvalidity;
END;
CREATE TRIGGER entry_returns AFTER UPDATE OF expunged_at ON entry WHEN old.expunged_at IS NOT NULL AND new.expunged_at IS NULL BEGIN
  UPDATE email SET live = live + 1, destroyed_at = NULL WHERE id = new.email_id;
  UPDATE mailbox SET total = total + 1, unread = unread + (instr(' ' || new.flags || ' ', ' \Seen ') = 0)
   WHERE id = new.mailbox_id AND uidvalidity = new.uidvalidity;
END;
CREATE TRIGGER entry_reflags AFTER UPDATE OF flags ON entry WHEN new.expunged_at IS NULL AND old.flags <> new.flags BEGIN
  UPDATE mailbox SET unread = unread + (instr(' ' || new.flags || ' ', ' \Seen ') = 0) - (instr(' ' || old.flags || ' ', ' \Seen ') = 0)
   WHERE id = new.mailbox_id AND uidvalidity = new.uidvalidity;
END;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry WHEN old.expunged_at IS NULL
  AND EXISTS (SELECT 1 FROM mailbox WHERE id = old.mailbox_id) BEGIN
  SELECT RAISE(ABORT, 'a live entry cannot be deleted');
END;
CREATE TRIGGER goqite_updated_timestamp AFTER UPDATE ON goqite BEGIN
  UPDATE goqite SET updated = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = old.id;
END;
CREATE VIEW mail AS
SELECT a.name AS account, m.path AS mailbox, n.uid, e.jmap_id AS email_id, e.message_id, t.jmap_id AS thread_id,
       strftime('%Y-%m-%dT%H:%M:%SZ', n.internal_date / 1000, 'unixepoch') AS date,
       strftime('%Y-%m-%dT%H:%M:%SZ', e.sent_at / 1000, 'unixepoch') AS sent_date,
       e.sender, e.recipients, e.subject, n.size, n.flags, CASE WHEN b.sha256 IS NOT NULL THEN lower(hex(b.sha256)) END AS sha256,
       n.blob_id IS NOT NULL AS has_body, n.pending
  FROM entry n
  JOIN mailbox m ON m.id = n.mailbox_id AND m.uidvalidity = n.uidvalidity AND m.gone_at IS NULL
  JOIN account a ON a.id = m.account_id
  JOIN email e ON e.id = n.email_id
  JOIN thread t ON t.id = e.thread_id
  LEFT JOIN blob b ON b.id = n.blob_id
 WHERE n.expunged_at IS NULL;
CREATE VIEW sync_tasks AS
SELECT id, account_id, task_type,
       CASE state WHEN 'waiting' THEN 'pending' WHEN 'paused' THEN 'pending' WHEN 'cancelled' THEN 'failed' ELSE state END AS status,
       state, priority, payload, checkpoint, retry_count, max_retries, error_log,
       strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', completed_at / 1000.0, 'unixepoch') AS completed_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', next_retry_at / 1000.0, 'unixepoch') AS next_retry_at
  FROM sync_task;
CREATE VIEW sync_runs AS
SELECT r.id, a.name AS account,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_at / 1000.0, 'unixepoch') AS ended_at,
       r.result, r.mailboxes, r.fetched, r.bytes, r.quarantined, r.detail
  FROM sync_run r JOIN account a ON a.id = r.account_id;
CREATE VIEW sync_errors AS
SELECT x.id, strftime('%Y-%m-%dT%H:%M:%fZ', x.at / 1000.0, 'unixepoch') AS at, a.name AS account, m.path AS mailbox,
       x.uid, x.task_id, x.class, x.scope, x.phase, x.command, x.server_text, x.detail, x.next_step, x.attempt, x.stack, x.fingerprint
  FROM sync_error x LEFT JOIN account a ON a.id = x.account_id LEFT JOIN mailbox m ON m.id = x.mailbox_id;
CREATE VIEW rate_limits AS
SELECT a.name AS account, r.provider, r.kind,
       CASE WHEN r.kind = 'bytes' THEN (SELECT coalesce(sum(s.bytes), 0) FROM rate_slot s WHERE s.account_id = r.account_id
                                           AND s.at > (unixepoch() - r.window_s - 600) * 1000)
            WHEN r.kind = 'connections' OR r.window_at > (unixepoch() - r.window_s) * 1000 THEN r.used
            ELSE 0 END AS used,
       r.allowed, r.window_s AS window_seconds, r.pace,
       CASE WHEN r.ceiling_until > unixepoch() * 1000 THEN r.ceiling END AS learned,
       CASE WHEN r.ceiling_until > unixepoch() * 1000 THEN strftime('%Y-%m-%dT%H:%M:%SZ', r.ceiling_until / 1000, 'unixepoch') END AS learned_until,
       CASE WHEN r.resumes_at > unixepoch() * 1000 THEN strftime('%Y-%m-%dT%H:%M:%SZ', r.resumes_at / 1000, 'unixepoch') END AS resumes_at
  FROM rate r JOIN account a ON a.id = r.account_id;
CREATE TRIGGER breaker_of_account AFTER DELETE ON account BEGIN
  DELETE FROM breaker WHERE scope = 'account:' || old.id;
END;
CREATE VIEW breakers AS
SELECT coalesce(a.name, '') AS account, CASE WHEN b.scope GLOB 'host:*' THEN substr(b.scope, 6) ELSE '' END AS host, b.class, b.failures,
       b.opened_at IS NOT NULL AS open,
       strftime('%Y-%m-%dT%H:%M:%SZ', b.failed_at / 1000, 'unixepoch') AS failed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', b.until / 1000, 'unixepoch') AS until, b.detail
  FROM breaker b LEFT JOIN account a ON b.scope = 'account:' || a.id
 WHERE b.class <> 'manual';
CREATE VIEW sync_quarantine AS
SELECT q.id, a.name AS account, m.path AS mailbox, q.uid, q.reason, q.attempts, q.received, q.claimed,
       strftime('%Y-%m-%dT%H:%M:%fZ', q.first_at / 1000.0, 'unixepoch') AS first_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', q.last_at / 1000.0, 'unixepoch') AS last_at, q.asked_at IS NOT NULL AS asked
  FROM quarantine q JOIN mailbox m ON m.id = q.mailbox_id JOIN account a ON a.id = m.account_id
 WHERE m.gone_at IS NULL AND q.uidvalidity IN (m.uidvalidity, m.building);
CREATE INDEX mailbox_account ON mailbox (account_id, raw);
CREATE TABLE unindexed (
  email_id INTEGER PRIMARY KEY REFERENCES email (id) ON DELETE CASCADE
) STRICT;
CREATE TABLE outdated_view (
  email_id INTEGER PRIMARY KEY REFERENCES email (id) ON DELETE CASCADE
) STRICT;
CREATE TABLE refetch (
  entry_id INTEGER PRIMARY KEY REFERENCES entry (id) ON DELETE CASCADE
) STRICT;
CREATE TABLE email_alias (
  jmap_id    TEXT PRIMARY KEY CHECK (length(jmap_id) BETWEEN 1 AND 255),
  email_id   INTEGER NOT NULL REFERENCES email (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX email_alias_email ON email_alias (email_id);
CREATE INDEX email_alias_created ON email_alias (created_at);
CREATE VIEW accounts AS
SELECT id, name, user, host, port, security, state, pause_class, pause_reason,
       strftime('%Y-%m-%dT%H:%M:%SZ', paused_at / 1000, 'unixepoch') AS paused_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', last_success_at / 1000, 'unixepoch') AS last_success_at,
       server_id, capabilities
  FROM account WHERE removed_at IS NULL;
CREATE VIEW mailboxes AS
SELECT m.id, a.name AS account, m.path, m.role, m.delimiter, m.selectable, m.priority, m.uidvalidity, m.modseq,
       m.remote_total, m.total, m.unread, m.pass_at IS NOT NULL AS complete,
       strftime('%Y-%m-%dT%H:%M:%SZ', m.pass_at / 1000, 'unixepoch') AS completed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', m.gone_at / 1000, 'unixepoch') AS gone_at,
       m.synced, m.refused
  FROM mailbox m JOIN account a ON a.id = m.account_id
 WHERE a.removed_at IS NULL;
CREATE VIEW threads AS
SELECT t.jmap_id AS thread_id, a.name AS account, count(*) AS emails,
       strftime('%Y-%m-%dT%H:%M:%SZ', min(e.received_at) / 1000, 'unixepoch') AS first_date,
       strftime('%Y-%m-%dT%H:%M:%SZ', max(e.received_at) / 1000, 'unixepoch') AS last_date,
       (SELECT subject FROM email WHERE thread_id = t.id AND live > 0 ORDER BY received_at, id LIMIT 1) AS subject
  FROM thread t JOIN account a ON a.id = t.account_id JOIN email e ON e.thread_id = t.id AND e.live > 0
 WHERE a.removed_at IS NULL
 GROUP BY t.id;
CREATE VIEW sync_coverage AS
SELECT a.name AS account, m.path AS mailbox, c.uidvalidity, c.level, c.lo, c.hi
  FROM coverage c JOIN mailbox m ON m.id = c.mailbox_id JOIN account a ON a.id = m.account_id
 WHERE a.removed_at IS NULL;
CREATE VIEW changes AS
SELECT a.name AS account, c.type, c.object_id, c.created_no, c.changed_no, c.destroyed,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.changed_at / 1000.0, 'unixepoch') AS changed_at
  FROM change c JOIN account a ON a.id = c.account_id
 WHERE a.removed_at IS NULL;
CREATE TABLE index_state (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  spelling INTEGER NOT NULL,
  next     INTEGER,
  built    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX entry_shown ON entry (mailbox_id, uidvalidity, email_id) WHERE expunged_at IS NULL;
CREATE INDEX email_newest ON email (received_at, id, live, account_id, size, has_attachment);
CREATE VIRTUAL TABLE search USING fts5 (
  subject, people, text, attachments,
  content = '', contentless_delete = 1, tokenize = "ascii"
);
INSERT INTO meta VALUES ('change_no', 8);
INSERT INTO meta VALUES ('created_at', 1796067207558);
INSERT INTO meta VALUES ('epoch', 1);
INSERT INTO meta VALUES ('store_id', 'd02f9d51b62dcba3f2738251e8a5a493');
INSERT INTO blob VALUES (1, X'83DD1DC4882A94A59B8FA0AD65CDA5EAAFC4ABC96E0DCF316134DC0F09EF9D06', 111, 107, 'sealed', 1796067207704);
INSERT INTO blob VALUES (2, X'0F3BE79CEACD3945A11233A104FE22A817D5D2C93EF344C6A9349EFC0C2A32FE', 111, 107, 'sealed', 1796067207705);
INSERT INTO blob_piece VALUES (1, 0, X'28B52FFD0400F50200A2C5141B706B130044C6DA126B97C45B93F5C01E21888DDECC9A41F10038108728993D51C7E1C5727BDE7CA6791B6FC3240E5349C4A90CAC74B1C261B25A35C5198983380C2C6CA1371E9ACF0509B12218005F72F787021005680F4F031953FADD45');
INSERT INTO blob_piece VALUES (2, 0, X'28B52FFD0400F50200A2C5141B706B130044C6DA126B97C45B93F5C01E21888DC3DC9A42890170208728993D51C7E1C5727BDE7CA6791B6FC3240E5349C4A90CAC74B1C261B25A35C5198983380C2C6CA1371E9ACF0509B12218005F72F787021005680F4F03196B15D5D7');
INSERT INTO thread VALUES (1, 1, 'tajpkuspq4pa64frg76ef8s3q');
INSERT INTO thread VALUES (2, 1, 'tfl4bq70eroa579ddif304920');
INSERT INTO thread_reference VALUES (1, X'0D5C73DC1D34A4754B3DDAB392EA15A6', 1);
INSERT INTO thread_reference VALUES (1, X'06EFD581F8CA13285F23942861AF7908', 2);
INSERT INTO email VALUES (1, 1, 'e8nfprhe7nopdlkbd3qgl71t0', 1, X'83DD1DC4882A94A59B8FA0AD65CDA5EAAFC4ABC96E0DCF316134DC0F09EF9D06', '<1@example.org>', 'message 1', 'Ada <ada@example.org>', '', 1600000000000, 1700000001000, 111, 'This is the text', 0, 0, 1, NULL);
INSERT INTO email VALUES (2, 1, 'eguora40dcs7p4o4cjke98n2d', 2, X'0F3BE79CEACD3945A11233A104FE22A817D5D2C93EF344C6A9349EFC0C2A32FE', '<2@example.org>', 'message 2', 'Ada <ada@example.org>', '', 1600000000000, 1700000002000, 111, 'This is the text', 0, 0, 0, NULL);
INSERT INTO entry VALUES (1, 1, 7, 1, NULL, 1, 1, '\Seen', 1, 1700000001000, 111, NULL, NULL);
INSERT INTO entry VALUES (2, 1, 7, 2, NULL, 2, 2, '', 1, 1700000002000, 111, 1796067207711, NULL);
INSERT INTO coverage VALUES (1, 7, 'body', 1, 2);
INSERT INTO change VALUES (1, 'Email', 'e8nfprhe7nopdlkbd3qgl71t0', 3, 3, 0, 1796067207704);
INSERT INTO change VALUES (1, 'Email', 'eguora40dcs7p4o4cjke98n2d', 5, 7, 0, 1796067207711);
INSERT INTO change VALUES (1, 'Mailbox', 'M1', 1, 8, 0, 1796067207711);
INSERT INTO change VALUES (1, 'Thread', 'tajpkuspq4pa64frg76ef8s3q', 2, 2, 0, 1796067207704);
INSERT INTO change VALUES (1, 'Thread', 'tfl4bq70eroa579ddif304920', 4, 4, 0, 1796067207705);
INSERT INTO account VALUES (1, 'imap', 'ada', 'ada', 'localhost', 143, 'plain', 0, '', 'active', '', '', NULL, '', '', 1796067207673, NULL, 'all', 'mirror', NULL);
INSERT INTO mailbox VALUES (1, 1, X'494E424F58', 'INBOX', '/', '', '', 1, 5, NULL, NULL, 7, NULL, NULL, 1, 0, 0, 0, 0, NULL, 1, 0, NULL, NULL, NULL, 1, NULL, '', NULL, NULL, NULL, 0, NULL, 0, NULL);
INSERT INTO unindexed VALUES (1);
INSERT INTO unindexed VALUES (2);
INSERT INTO index_state VALUES (1, 2, NULL, 0);
