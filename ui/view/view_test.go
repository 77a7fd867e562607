package view_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/agent"
	"mailcote/ui/demo"
	"mailcote/ui/view"
	"mailcote/ui/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const messages = 90

// synced is a store that holds a demo mailbox, with its engine still open.
func synced(t *testing.T) (*storage.Store, *engine.Engine) {
	t.Helper()
	ctx := context.Background()
	server, err := demo.Start(ctx, demo.Options{Seed: 5, Messages: messages})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, server.Close()) })
	st, err := storage.Open(ctx, filepath.Join(t.TempDir(), "t.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, st.Close()) })
	e, err := engine.New(ctx, engine.Options{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, e.Close()) })
	login, err := engine.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	id, _, err := e.AddAccount(ctx, engine.NewAccount{Login: login, Name: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	if s := e.Sync(ctx, []storage.AccountID{id}, engine.SyncOptions{}); s[0].Result != engine.Complete {
		t.Fatalf("sync: %+v", s[0])
	}
	return st, e
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// walk reads a list to its end, a few items a page.
func walk(t *testing.T, s *view.Source, q view.ListQuery) []view.MessageItem {
	t.Helper()
	var all []view.MessageItem
	q.Limit = 7
	for {
		list, err := s.Messages(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list.Items...)
		if list.Next == "" {
			return all
		}
		if len(list.Items) != q.Limit {
			t.Fatalf("a page in the middle holds %d items", len(list.Items))
		}
		q.Before = list.Next
	}
}

func TestSource(t *testing.T) {
	st, e := synced(t)
	s := view.NewSource(st, e, time.Minute)
	o, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if o.Messages != messages || len(o.Accounts) != 1 || o.Accounts[0].Standing != (view.Standing{State: view.OK}) ||
		o.Accounts[0].LastSuccess.IsZero() {
		t.Fatalf("overview: %+v", o)
	}
	all := walk(t, s, view.ListQuery{})
	if len(all) != messages {
		t.Errorf("the newest of all mailboxes are %d, want %d", len(all), messages)
	}
	for i := 1; i < len(all); i++ {
		if all[i].Date.After(all[i-1].Date) {
			t.Errorf("item %d is newer than the one before", i)
		}
	}
	for _, m := range o.Accounts[0].Mailboxes {
		if m.Stored != m.Total {
			t.Errorf("%s: stored %d of %d", m.Path, m.Stored, m.Total)
		}
		if got := walk(t, s, view.ListQuery{Mailbox: m.ID}); int64(len(got)) != m.Stored {
			t.Errorf("%s lists %d, want %d", m.Path, len(got), m.Stored)
		}
	}
	if got := walk(t, s, view.ListQuery{Search: "is:read"}); len(got) == 0 || len(got) >= messages {
		t.Errorf("is:read finds %d", len(got))
	}
	one, err := s.Message(t.Context(), all[0].ID)
	if err != nil || one.Subject != all[0].Subject || one.Text == "" || len(one.Mailboxes) == 0 || one.Note != "" {
		t.Errorf("message: %+v, %v", one, err)
	}
}

func TestSourceRefuses(t *testing.T) {
	st, e := synced(t)
	s := view.NewSource(st, e, time.Minute)
	for _, q := range []view.ListQuery{{Mailbox: 999}, {Before: "x"}, {Before: "1-0"}, {Before: "1-x"},
		{Search: "a", Before: "n-1"}, {Search: "a", Before: "7"}, {Search: "a", Before: "n99999"}} {
		if _, err := s.Messages(t.Context(), q); !errors.Is(err, view.ErrNotFound) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if bad := (*view.QueryError)(nil); !errors.As(second(s.Messages(t.Context(),
		view.ListQuery{Search: "before:soon"})), &bad) {
		t.Error("an unreadable search is not a view.QueryError")
	}
	if _, err := s.Message(t.Context(), "enothing"); !errors.Is(err, view.ErrNotFound) {
		t.Errorf("unknown message: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestServed reads every kind of page through the guarded door.
func TestServed(t *testing.T) {
	st, e := synced(t)
	state := t.TempDir()
	s := view.NewSource(st, e, time.Minute)
	token, err := agent.Token(state, st.Path())
	if err != nil {
		t.Fatal(err)
	}
	server, err := web.Serve(t.Context(), web.Config{Source: s, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, server.Close()) }()
	o, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Messages(t.Context(), view.ListQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{
		"/": "demo", "/mail": list.Items[0].ID, "/mailbox/" + strconv.FormatInt(o.Accounts[0].Mailboxes[0].ID,
			10): o.Accounts[0].Mailboxes[0].Path,
		"/message/" + list.Items[0].ID: "<h1", "/search?q=is:read": "/message/",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		check(t, errors.Join(err, answer.Body.Close()))
		if answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, without %q", path, answer.StatusCode, want)
		}
	}
}
