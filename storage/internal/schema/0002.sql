-- One email has at most one live entry in one mailbox and generation: two copies there are two emails.
CREATE UNIQUE INDEX entry_once ON entry (email_id, mailbox_id, uidvalidity) WHERE expunged_at IS NULL;

-- A row is one limit of an account's provider: what was used of it in the present window, the pace it allows now, and a
-- ceiling the server showed. Without a row nothing was used. kind: connections at once; commands and messages a minute; bytes
-- a day.
CREATE TABLE rate (
  account_id    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  kind          TEXT NOT NULL CHECK (kind IN ('connections', 'commands', 'messages', 'bytes')),
  window_at     INTEGER NOT NULL,
  used          INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
  pace          REAL NOT NULL DEFAULT 1.0 CHECK (pace > 0 AND pace <= 1),
  ceiling       INTEGER CHECK (ceiling >= 1),
  ceiling_until INTEGER,
  resumes_at    INTEGER,
  PRIMARY KEY (account_id, kind),
  CHECK ((ceiling IS NULL) = (ceiling_until IS NULL))
) STRICT, WITHOUT ROWID;

-- A row is a circuit breaker that is not closed: until then nothing is tried, after it one probe. scope: account:ID or
-- host:NAME.
CREATE TABLE breaker (
  scope     TEXT NOT NULL CHECK (scope GLOB 'account:?*' OR scope GLOB 'host:?*'),
  class     TEXT NOT NULL,
  failures  INTEGER NOT NULL CHECK (failures >= 1),
  opened_at INTEGER NOT NULL,
  until     INTEGER NOT NULL,
  PRIMARY KEY (scope, class)
) STRICT, WITHOUT ROWID;

-- A row is a sign-in that was sent and not answered: it is not sent again within a minute, and at most once.
CREATE TABLE sign_in (
  account_id INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  sent_at    INTEGER NOT NULL,
  silent     INTEGER NOT NULL DEFAULT 0 CHECK (silent >= 0),
  dropped    INTEGER NOT NULL DEFAULT 0 CHECK (dropped >= 0)
) STRICT;
