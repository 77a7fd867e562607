-- One email has at most one live entry in one mailbox and generation: two copies there are two emails.
CREATE UNIQUE INDEX entry_once ON entry (email_id, mailbox_id, uidvalidity) WHERE expunged_at IS NULL;

-- A row is one limit of an account's provider, as it was last written: what was used of it in its window, what a window allows
-- and the pace. kind: connections at once; commands a minute; messages in a long run; bytes in a day, which rate_slot counts.
-- ceiling is what a server's refusal has taught, for a day. The account rests until resumes_at.
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

-- A row is what an account's server sent in the ten minutes from at, in octets below TLS; for accounts whose provider limits a
-- day. Rows that no day counts any more are deleted as others are written.
CREATE TABLE rate_slot (
  account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  at         INTEGER NOT NULL,
  bytes      INTEGER NOT NULL CHECK (bytes >= 0),
  PRIMARY KEY (account_id, at)
) STRICT, WITHOUT ROWID;

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

-- A row is an account or a host that has failed and done nothing useful since: before until nothing is tried there. With
-- opened_at it is an open circuit breaker, and what is tried then is one probe. scope: account:ID or host:NAME:PORT. The class
-- manual is no fault: a person asked for a retry at failed_at, and can again from until on.
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

-- A row is a sign-in that was sent and not answered: it is not sent again within a minute, and at most once.
CREATE TABLE sign_in (
  account_id INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  sent_at    INTEGER NOT NULL,
  silent     INTEGER NOT NULL DEFAULT 0 CHECK (silent >= 0),
  dropped    INTEGER NOT NULL DEFAULT 0 CHECK (dropped >= 0)
) STRICT;

-- A row is one message the server lists and cannot or does not deliver; it is outside coverage and tried again. alone: it ended
-- sessions, so it is not asked for together with others. received is how many bytes came before it was given up, claimed what
-- the server says its size is. asked_at: a person wants it tried at the next pass.
CREATE TABLE quarantine_numbered (
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
INSERT INTO quarantine_numbered (mailbox_id, uidvalidity, uid, reason, attempts, first_at, last_at)
  SELECT mailbox_id, uidvalidity, uid, reason, attempts, first_at, last_at FROM quarantine;
DROP TABLE quarantine;
ALTER TABLE quarantine_numbered RENAME TO quarantine;

CREATE VIEW sync_quarantine AS
SELECT q.id, a.name AS account, m.path AS mailbox, q.uid, q.reason, q.attempts, q.received, q.claimed,
       strftime('%Y-%m-%dT%H:%M:%fZ', q.first_at / 1000.0, 'unixepoch') AS first_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', q.last_at / 1000.0, 'unixepoch') AS last_at, q.asked_at IS NOT NULL AS asked
  FROM quarantine q JOIN mailbox m ON m.id = q.mailbox_id JOIN account a ON a.id = m.account_id
 WHERE m.gone_at IS NULL AND q.uidvalidity IN (m.uidvalidity, m.building);
