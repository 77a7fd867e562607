package queue

import (
	"fmt"

	"mailcote/storage"
	"mailcote/storage/tables"
)

// DropAccountTx deletes every task of an account. Nobody may work on one.
func (q *Queue) DropAccountTx(w *storage.Writer, account storage.AccountID) error {
	if !q.direct.Load() {
		if _, err := tables.In(w).Exec(`DELETE FROM goqite WHERE id IN (SELECT message_id FROM sync_task
			WHERE account_id = ?)`, account); err != nil {
			return delivery("drop the account's tasks", err)
		}
	}
	if _, err := tables.In(w).Exec(`DELETE FROM sync_task WHERE account_id = ?`, account); err != nil {
		return fmt.Errorf("drop the account's tasks: %w", err)
	}
	return nil
}
