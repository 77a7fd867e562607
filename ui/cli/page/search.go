package page

import "mailcote/storage"

func search(r *storage.Reader, text string, after storage.Cursor, limit int) ([]storage.Mail, error) {
	return r.Search(text, after, limit)
}
