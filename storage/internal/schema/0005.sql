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
