package storage

// LastEmail gives the email that was stored last; 0: there is none.
func (r *Reader) LastEmail() (EmailRow, error) {
	var last EmailRow
	err := r.snap.QueryRow(`SELECT coalesce(max(id), 0) FROM email`).Scan(&last)
	return last, explain("last email", err)
}

// Arrived lists the emails that were stored after one, in that order, at most
// limit, each in one of its mailboxes. One that is in none any more is left
// out.
func (r *Reader) Arrived(after EmailRow, limit int) ([]Mail, error) {
	rows, err := r.snap.Query(`SELECT `+mailColumns+mailFrom+` WHERE e.id > ? AND n.expunged_at IS NULL
		AND n.id = (SELECT min(o.id) FROM entry o WHERE o.email_id = e.id AND o.expunged_at IS NULL)
		ORDER BY e.id LIMIT ?`, after, limit)
	return listMail(rows, err)
}
