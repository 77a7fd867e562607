package limit

import (
	"slices"
	"testing"
	"time"
)

// Each row: who is found by what, and the figures that hold.
func TestProfiles(t *testing.T) {
	for name, want := range map[string]struct {
		server Server
		p      Profile // figures that are not the default
	}{
		"gmail": {Server{Host: "imap.gmail.com"}, Profile{Start: 3, Most: 8, Day: 2500 * mb,
			Largest: 35_651_584, Line: 16_000}},
		"microsoft": {Server{Host: "outlook.office365.com"},
			Profile{Messages: 4, Hour: 300 * mb, Largest: 45 * mb, Line: 4096}},
		"icloud": {Server{Host: "IMAP.mail.me.com."}, Profile{Distrust: []string{"QRESYNC"}}},
		"yahoo": {Server{Host: "imap.aol.com"}, Profile{Distrust: []string{"CONDSTORE", "QRESYNC"},
			NoIdle: true}},
		"fastmail": {Server{Host: "imap.fastmail.com"}, Profile{Most: 8, DialEvery: 2 * time.Second}},
		"zoho": {Server{Host: "imappro.zoho.eu"}, Profile{Start: 1, Most: 2,
			Distrust: []string{"CONDSTORE", "QRESYNC"}}},
		"gmx":     {Server{Host: "imap.web.de"}, Profile{}},
		"yandex":  {Server{Host: "imap.yandex.ru"}, Profile{}},
		"mail.ru": {Server{Host: "imap.mail.ru"}, Profile{NoIdle: true, Poll: time.Minute}},
		"qq": {Server{Host: "imap.exmail.qq.com"},
			Profile{Start: 1, Most: 2, NoIdle: true, Poll: time.Minute}},
		"netease": {Server{Host: "imap.163.com"}, Profile{Start: 1, Most: 2, IDFirst: true, NoIdle: true,
			Poll: time.Minute}},
		"exchange": {Server{Host: "mail.example.org",
			Greeting: "The Microsoft Exchange IMAP4 service is ready."},
			Profile{Line: 4096, Distrust: []string{"IMAP4REV2"}}},
		"proton-bridge": {Server{Host: "127.0.0.1", ID: "gluon"}, Profile{Start: 4, Distrust: []string{"SPECIAL-USE"}}},
		"davmail":       {Server{Host: "localhost", Greeting: "IMAP4rev1 DavMail 6.2 server ready"}, Profile{Most: 2}},
		"dovecot":       {Server{Host: "mail.example.org", ID: "Dovecot"}, Profile{Most: 8, Line: 8000}},
		"cyrus": {Server{Host: "mail.example.org", ID: "Cyrus IMAP"},
			Profile{Line: 8000, Distrust: []string{"OBJECTID"}}},
		"courier": {Server{Host: "mail.example.org", Greeting: "Courier-IMAP ready."},
			Profile{Start: 1, Most: 2, Line: 8000}},
		"hmailserver": {Server{Host: "mail.example.org", ID: "hMailServer"}, Profile{Most: 2}},
		"stalwart":    {Server{Host: "mail.example.org", ID: "Stalwart IMAP"}, Profile{Most: 8, Commands: 2000}},
		"unknown":     {Server{Host: "mail.example.org"}, Profile{}},
	} {
		p := Choose(want.server)
		if p.Name != name {
			t.Errorf("%+v is %s, want %s", want.server, p.Name, name)
			continue
		}
		got := Profile{Start: p.Start, Most: p.Most, DialEvery: p.DialEvery, Commands: p.Commands,
			Messages: p.Messages, Day: p.Day, Hour: p.Hour,
			Largest: p.Largest, UIDs: p.UIDs, Line: p.Line, Distrust: p.Distrust, IDFirst: p.IDFirst,
			NoIdle: p.NoIdle, Poll: p.Poll}
		if w := want.p.withDefaults(); !equal(got, w) {
			t.Errorf("%s: figures\n%+v\nwant\n%+v", name, got, w)
		}
	}
}

func equal(a, b Profile) bool {
	same := slices.Equal(a.Distrust, b.Distrust)
	return same && a.Start == b.Start && a.Most == b.Most && a.DialEvery == b.DialEvery && a.Commands == b.Commands &&
		a.Messages == b.Messages &&
		a.Day == b.Day && a.Hour == b.Hour && a.Largest == b.Largest && a.UIDs == b.UIDs && a.Line == b.Line &&
		a.IDFirst == b.IDFirst &&
		a.NoIdle == b.NoIdle && a.Poll == b.Poll
}

// The host counts first, then what only one server offers, then what it calls
// itself.
func TestChooseOrder(t *testing.T) {
	for want, s := range map[string]Server{
		"icloud":   {Host: "imap.mail.me.com", ID: "Dovecot"},
		"gmail":    {Host: "mail.example.org", Capabilities: []string{"IMAP4rev1", "x-gm-ext-1"}, ID: "Dovecot"},
		"dovecot":  {Host: "mail.example.org", ID: "Dovecot", Greeting: "Courier-IMAP"},
		"fastmail": {Host: "imap.fastmail.com", ID: "Cyrus"},
		"unknown":  {Host: "imap.gmail.com.example.org"},
	} {
		if got := Choose(s).Name; got != want {
			t.Errorf("%+v is %s, want %s", s, got, want)
		}
	}
	if got := Choose(Server{Host: "notgmx.net"}).Name; got != "unknown" {
		t.Errorf("the end of a name is no name: %s", got)
	}
}

// Every figure says where it comes from, and no source speaks of a figure that
// is not there.
func TestEveryFigureHasASource(t *testing.T) {
	names := map[string]bool{}
	for _, p := range append(append(providers(), servers()...), Unknown()) {
		if names[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name] = true
		has := map[string]bool{connections: true, dialEvery: p.DialEvery > 0 && p.Name != "unknown",
			commands: p.Commands > 0, messages: p.Messages > 0,
			day: p.Day > 0, hour: p.Hour > 0, largest: p.Largest > 0, uids: p.UIDs > 0 && p.Name != "unknown",
			line: p.Line > 0, distrust: len(p.Distrust) > 0,
			idFirst: p.IDFirst, noIdle: p.NoIdle, poll: p.Poll > 0}
		for _, s := range p.Sources {
			if !has[s.Figure] || s.Says == "" {
				t.Errorf("%s: a source for %q, which it does not have", p.Name, s.Figure)
			}
			delete(has, s.Figure)
		}
		for figure, there := range has {
			if there {
				t.Errorf("%s: nothing says where the figure %q comes from", p.Name, figure)
			}
		}
		if full := p.withDefaults(); full.Start > full.Most || full.Start < 1 || full.UIDs < 1 || full.Line < 1000 {
			t.Errorf("%s: %+v", p.Name, full)
		}
	}
	if len(names) != 20 {
		t.Errorf("%d profiles", len(names))
	}
}
