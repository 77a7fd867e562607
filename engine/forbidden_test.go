package engine

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/testkit/script"
)

// box reads a mailbox by its path.
func (w *world) box(path string) (m storage.Mailbox) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) error {
		all, err := r.Mailboxes(w.id)
		for _, one := range all {
			if one.Path == path {
				m = one
			}
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestForbidden: a mailbox that the account may not read is no fault and keeps nothing incomplete. It is asked for
// once a day and when it is named, and it comes as soon as it may be read.
func TestForbidden(t *testing.T) {
	for name, caps := range map[string]string{"with STATUS in LIST": "", "without": plainCaps} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wall hands
			s, w := several(t, script.Options{Capabilities: caps}, Options{wall: wall.now}, "Archive", "Team")
			var opened atomic.Int32 // others are opened when it is their turn to have their flags compared
			forbidden := func(c script.Command) bool {
				if asks("Team", "EXAMINE")(c) {
					opened.Add(1)
					return true
				}
				return asks("Team", "STATUS")(c)
			}
			words := "NO [NOPERM] you may not read this"
			asked := func() int { return int(opened.Load()) }
			s.Misbehave(script.Faults{On: on(forbidden, script.Action(words)),
				Line: func(c script.Command, line string) string {
					if c.Name == "LIST" && strings.HasPrefix(line, `* STATUS "Team"`) {
						return ""
					}
					return line
				}})
			if sum := w.complete(); sum.Mailboxes != 2 || sum.Fetched != 4 {
				t.Errorf("%+v", sum)
			}
			if m := w.box("Team"); m.Refused != words || m.RefusedAt.IsZero() || len(w.faults()) > 0 {
				t.Errorf("%q at %v, %+v", m.Refused, m.RefusedAt, w.faults())
			}
			at := func(ahead time.Duration, times int, result string, mailboxes ...string) {
				t.Helper()
				wall.set(ahead)
				before, status := asked(), s.Count("STATUS")
				sum := w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{Mailboxes: mailboxes})[0]
				team := asked() - before
				if team != times || sum.Result != result {
					t.Errorf("%v ahead: opened %d times, want %d; %+v", ahead, team, times, sum)
				}
				if n := s.Count("STATUS") - status; caps == plainCaps && len(mailboxes) == 0 && n != 2+times {
					t.Errorf("%v ahead: %d STATUS", ahead, n)
				}
			}
			at(time.Minute, 0, Complete)
			at(23*time.Hour, 0, Complete)
			at(25*time.Hour, 1, Complete)
			at(26*time.Hour, 0, Complete)
			at(27*time.Hour, 1, Partial, "Team")
			at(28*time.Hour, 0, Complete)
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				forbidden(c) // it counts
				return script.Answer
			}})
			at(29*time.Hour, 0, Complete)
			at(30*time.Hour, 1, Complete, "Team")
			w.equals(s)
			if m := w.box("Team"); m.Refused != "" || !m.RefusedAt.IsZero() || len(w.faults()) > 0 {
				t.Errorf("%q at %v, %+v", m.Refused, m.RefusedAt, w.faults())
			}
		})
	}
}

// TestForbiddenLater: what was stored of a mailbox whose right is withdrawn stays as it is, whichever command is
// refused, and goes on from there when the right is back.
func TestForbiddenLater(t *testing.T) {
	for _, command := range []string{"EXAMINE", "UID SEARCH", "UID FETCH"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			var wall hands
			s, w := several(t, script.Options{}, Options{wall: wall.now}, "Archive", "Team")
			w.complete()
			put(s, "Team", 1)
			s.Misbehave(script.Faults{On: on(asks("Team", command), "NO [NOPERM] no longer")})
			w.complete()
			if w.stored("Team") != "2" || !strings.Contains(w.box("Team").Refused, "no longer") {
				t.Errorf("%s stored, %+v", w.stored("Team"), w.box("Team"))
			}
			if findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{
				Accounts: []storage.Account{w.find()}}); err != nil || len(findings) > 0 {
				t.Errorf("%+v, %v", findings, err)
			}
			w.clean()
			s.Misbehave(script.Faults{})
			wall.set(25 * time.Hour)
			if sum := w.complete(); sum.Fetched != 1 {
				t.Errorf("%+v", sum)
			}
			w.equals(s)
		})
	}
}

// TestOtherRefusals: words that do not speak of rights leave the mailbox incomplete and say so.
func TestOtherRefusals(t *testing.T) {
	for _, words := range []script.Action{"NO permission denied", "NO [SERVERBUG] permission denied",
		"NO [UNAVAILABLE] later", "NO [INUSE] locked", "BAD [NOPERM] what", "NO [CANNOT] no"} {
		t.Run(string(words), func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{least: func(policy.Wait, int) time.Duration { return 0 }},
				"Archive", "Team")
			s.Misbehave(script.Faults{On: on(asks("Team", "EXAMINE"), words)})
			if sum := w.sync(); sum.Result == Complete || len(w.faults()) == 0 || w.box("Team").Refused != "" {
				t.Errorf("%d faults, %+v", len(w.faults()), sum)
			}
		})
	}
}

// TestLeftOut: of a mailbox that a person left out nothing is asked, its mail stays, and no task of it is left. When
// it is taken in again it goes on with what it has.
func TestLeftOut(t *testing.T) {
	for name, caps := range map[string]string{"with STATUS in LIST": "", "without": plainCaps} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{Capabilities: caps}, Options{}, "Archive", "Team")
			w.complete()
			emails, team := w.emails(), w.box("Team")
			set := func(on bool) {
				t.Helper()
				if err := w.engine.SetSynced(t.Context(), w.id, team.ID, on); err != nil {
					t.Fatal(err)
				}
			}
			set(false)
			put(s, "Team", 3)
			s.Change(func(m *script.Model) { m.Box("Team").Expunge(1) })
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if strings.Contains(c.Args, `"Team"`) {
					t.Errorf("asked: %s %s", c.Name, c.Args)
				}
				return script.Answer
			}})
			for range 2 {
				if sum := w.complete(); sum.Mailboxes != 2 {
					t.Errorf("%+v", sum)
				}
			}
			sum := w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{Mailboxes: []string{"Team"}})[0]
			if sum.Result != Partial || !strings.Contains(sum.Detail, "Team is left out") {
				t.Errorf("%+v", sum)
			}
			m := w.box("Team")
			if w.stored("Team") != "2" || m.Synced || m.CompletedAt.Before(team.CompletedAt) || w.emails() != emails {
				t.Errorf("%s stored, %+v", w.stored("Team"), m)
			}
			if findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{
				Accounts: []storage.Account{w.find()}}); err != nil || len(findings) > 0 {
				t.Errorf("%+v, %v", findings, err)
			}
			w.clean()
			set(true)
			s.Misbehave(script.Faults{})
			if sum := w.complete(); sum.Fetched != 3 {
				t.Errorf("%+v", sum)
			}
			w.equals(s)
		})
	}
}

// TestLeftOutMeanwhile: a task of the mailbox that waits is cancelled, one that comes later ends at once, and a
// mailbox that is left out and no longer listed goes as any other.
func TestLeftOutMeanwhile(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive", "Team")
	w.complete()
	team := w.box("Team")
	enqueue := func() {
		t.Helper()
		if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
			for _, m := range []storage.Mailbox{team, w.archive(tx)} {
				if _, _, err := w.engine.queue.EnqueueTx(tx, queue.NewTask{Account: w.id, Type: queue.FolderSync,
					Payload: queue.Payload{Folder: m.Path, Mailbox: m.ID}}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	enqueue()
	if err := w.engine.SetSynced(t.Context(), w.id, team.ID, false); err != nil {
		t.Fatal(err)
	}
	if left := w.tasks(); len(left) != 1 || left[0].Payload.Folder != "Archive" {
		t.Errorf("%+v", left)
	}
	enqueue()
	opened := s.Count("EXAMINE")
	w.complete()
	if n := s.Count("EXAMINE") - opened; n != 1 || len(w.tasks()) > 0 {
		t.Errorf("%d mailboxes were opened, %+v is left", n, w.tasks())
	}
	s.Change(func(m *script.Model) { m.Drop("Team") })
	w.complete()
	w.equals(s)
}

// archive reads the mailbox Archive inside a transaction.
func (w *world) archive(tx *storage.Writer) storage.Mailbox {
	w.t.Helper()
	m, err := tx.MailboxByRaw(w.id, "Archive")
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestLeftOutAndMadeAnew: a mailbox that is left out is not opened either when another one got its name.
func TestLeftOutAndMadeAnew(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive", "Team")
	s.Change(func(m *script.Model) { m.Box("Archive").UIDValidity = 2000 })
	w.complete()
	if err := w.engine.SetSynced(t.Context(), w.id, w.box("Team").ID, false); err != nil {
		t.Fatal(err)
	}
	s.Change(func(m *script.Model) { m.Drop("Team"); m.Box("Archive").Name = "Team" })
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if strings.Contains(c.Args, `"Team"`) {
			t.Errorf("asked: %s %s", c.Name, c.Args)
		}
		return script.Answer
	}})
	w.complete()
	if w.stored("Team") != "2" || w.stored("Archive") != "0" {
		t.Errorf("Team %s, Archive %s", w.stored("Team"), w.stored("Archive"))
	}
}
