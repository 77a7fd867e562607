package cli

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/queue"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// mostTasks is the longest list of tasks that is printed.
const mostTasks = 1000

// taskView is a task in JSON; the names are those of the view sync_tasks.
type taskView struct {
	Type       string           `json:"type"`          // always "task"
	ID         storage.TaskID   `json:"id"`            // its number
	Account    string           `json:"account"`       // the name of its account
	TaskType   queue.Type       `json:"task_type"`     // initial_sync, folder_sync or incremental_sync
	Status     string           `json:"status"`        // pending, processing, completed or failed
	State      queue.State      `json:"state"`         // the status, and also waiting, paused or cancelled
	Priority   int              `json:"priority"`      // 1 to 10, higher goes first
	Payload    queue.Payload    `json:"payload"`       // what is to be done
	Checkpoint queue.Checkpoint `json:"checkpoint"`    // how far it got
	RetryCount int              `json:"retry_count"`   // tries without progress
	MaxRetries int              `json:"max_retries"`   // the most of them
	ErrorLog   []queue.Failure  `json:"error_log"`     // why it failed, the oldest first
	Created    answer.Time      `json:"created_at"`    // when it was made
	Started    answer.Time      `json:"started_at"`    // when it was last begun; null: never
	Completed  answer.Time      `json:"completed_at"`  // when it ended; null: it has not
	NextRetry  answer.Time      `json:"next_retry_at"` // null: at once, or never
}

func viewTask(t queue.Task, account string) taskView {
	if t.ErrorLog == nil {
		t.ErrorLog = []queue.Failure{}
	}
	return taskView{"task", t.ID, account, t.Type, t.Status(), t.State, t.Priority, t.Payload, t.Checkpoint,
		t.RetryCount, t.MaxRetries,
		t.ErrorLog, answer.At(t.CreatedAt), answer.At(t.StartedAt), answer.At(t.CompletedAt),
		answer.At(t.NextRetryAt)}
}

func (a *app) queue() *cobra.Command {
	c := &cobra.Command{
		Use: "queue COMMAND", Short: "Look at the tasks of the sync and change their course",
		Example: "  mailcote queue list\n  mailcote queue retry --state failed",
		Args:    cobra.ArbitraryArgs, RunE: group,
	}
	c.AddCommand(a.queueList(), a.queueShow())
	c.AddCommand(a.queueVerbs()...)
	return c
}

func (a *app) queueList() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List the unfinished tasks", Args: exactly(0, ""),
		Example: "  mailcote queue list\n  mailcote queue list --all --json",
		RunE: func(c *cobra.Command, _ []string) error {
			var views []taskView
			held := 0
			err := a.read(c.Context(), func(r *storage.Reader) error {
				tasks, err := queue.List(r, 0, mostTasks)
				if err != nil {
					return err
				}
				accounts, err := r.Accounts()
				if err != nil {
					return err
				}
				for _, one := range accounts {
					n, err := r.Quarantined(one.ID)
					if err != nil {
						return err
					}
					held += n
				}
				for _, t := range tasks {
					if !all && !t.CompletedAt.IsZero() {
						continue
					}
					account, err := r.Account(t.Account)
					if err != nil {
						return err
					}
					views = append(views, viewTask(t, account.Name))
				}
				return nil
			})
			if err != nil {
				return err
			}
			if a.json {
				return each(views, a.voice.JSON)
			}
			if held > 0 {
				a.voice.Note("%s in quarantine and tried again later: mailcote errors quarantine.",
					format.Plural(int64(held), "message is", "messages are"))
			}
			if len(views) == 0 {
				a.voice.Note("Nothing is waiting; --all shows what was done.")
				return nil
			}
			var rows [][]string
			for _, v := range views {
				rows = append(rows, []string{strconv.FormatInt(int64(v.ID), 10), string(v.State),
					strconv.Itoa(v.Priority), string(v.TaskType), v.Account,
					v.Payload.Folder, format.Count(v.Checkpoint.TotalFetched), strconv.Itoa(v.RetryCount), v.next()})
			}
			return a.voice.Table([]string{"ID", "STATE", "PRIORITY", "TYPE", "ACCOUNT", "MAILBOX", "FETCHED", "RETRIES",
				"NEXT TRY"}, rows, voice.Layout{Flexible: []int{4, 5}, Spare: []int{2, 7, 6}})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "finished tasks too")
	return c
}

func (v taskView) next() string {
	if v.NextRetry.IsZero() || !v.Completed.IsZero() || v.State == queue.Paused {
		return ""
	}
	return v.NextRetry.Local().Format("15:04:05")
}

func (a *app) queueShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show one task and its errors", Args: exactly(1, "ID"),
		Example: "  mailcote queue show 12", ValidArgsFunction: a.completeTasks(0),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := taskID(args[0])
			if err != nil {
				return err
			}
			var v taskView
			err = a.read(c.Context(), func(r *storage.Reader) error {
				t, err := findTask(r, id)
				if err != nil {
					return err
				}
				account, err := r.Account(t.Account)
				v = viewTask(t, account.Name)
				return err
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.voice.JSON(v)
			}
			return a.printTask(v)
		},
	}
}

// taskID parses the number of a task.
func taskID(arg string) (storage.TaskID, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return 0, usageHint("mailcote queue list --all shows them", "%s is no task's number", typed(arg))
	}
	return storage.TaskID(id), nil
}

// findTask finds a task by its number. An unknown one is a usage error.
func findTask(r *storage.Reader, id storage.TaskID) (queue.Task, error) {
	t, err := queue.Find(r, id)
	if errors.Is(err, storage.ErrNotFound) {
		return t, usageHint("mailcote queue list --all shows them", "there is no task %d", id)
	}
	return t, err
}

func (a *app) printTask(v taskView) error {
	retries := strconv.Itoa(v.RetryCount) + " without progress, at most " + strconv.Itoa(v.MaxRetries)
	lines := [][2]string{{"Task", strconv.FormatInt(int64(v.ID), 10)}, {"Type", string(v.TaskType)},
		{"Account", v.Account}, {"Mailbox", v.Payload.Folder},
		{"State", string(v.State)}, {"Priority", strconv.Itoa(v.Priority)}, {"Payload", compact(v.Payload)},
		{"Checkpoint", compact(v.Checkpoint)},
		{"Retries", retries}, {"Created", moment(v.Created)}, {"Started", moment(v.Started)},
		{"Completed", moment(v.Completed)}, {"Next try", v.next()}}
	if err := a.pairs(lines); err != nil {
		return err
	}
	for _, f := range v.ErrorLog {
		words := strings.Join([]string{f.At.Local().Format("2006-01-02 15:04:05"), "attempt " +
			strconv.Itoa(f.Attempt), string(f.Class)}, ", ")
		if err := a.voice.Say("%s  %s: %s", a.voice.Faint("Error"), words, voice.Line(f.Message)); err != nil {
			return err
		}
	}
	return nil
}
