-- Search walks this index from new to old. With what most conditions ask in it, it reads no email that does not match.
DROP INDEX email_newest;
CREATE INDEX email_newest ON email (received_at, id, live, account_id, size, has_attachment);
