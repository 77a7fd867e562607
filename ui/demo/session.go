package demo

import (
	"crypto/subtle"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

const (
	userName  = "demo"
	delimiter = '/'
)

// capabilities are those that imapmemserver and this session really serve.
func capabilities() imap.CapSet {
	return imap.CapSet{
		imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapESearch: {},
		imap.CapListExtended: {}, imap.CapListStatus: {}, imap.CapMove: {}, imap.CapStatusSize: {},
		imap.CapChildren: {}, imap.CapSpecialUse: {},
	}
}

// specialUse holds the roles of the fixed mailboxes (RFC 6154).
func specialUse(name string) []imap.MailboxAttr {
	switch name {
	case "Sent":
		return []imap.MailboxAttr{imap.MailboxAttrSent}
	case "Drafts":
		return []imap.MailboxAttr{imap.MailboxAttrDrafts}
	case "Archive":
		return []imap.MailboxAttr{imap.MailboxAttrArchive}
	case "Junk":
		return []imap.MailboxAttr{imap.MailboxAttrJunk}
	case "Trash":
		return []imap.MailboxAttr{imap.MailboxAttrTrash}
	}
	return nil
}

// mailboxes are the standing ones and those that the messages name.
func mailboxes(messages []Message) []string {
	names := []string{"INBOX", "Sent", "Drafts", "Archive", "Newsletters", "Junk", "Trash", "Projects"}
	for _, m := range messages {
		if !slices.Contains(names, m.Mailbox) {
			names = append(names, m.Mailbox)
		}
	}
	sort.Strings(names[1:])
	return names
}

// roster knows the mailboxes and their subscriptions, which imapmemserver
// does not tell. It is shared by all sessions.
type roster struct {
	mu         sync.Mutex
	subscribed map[string]bool // every mailbox has a key
}

func newRoster() *roster { return &roster{subscribed: map[string]bool{}} }

func (r *roster) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subscribed[name] = true
}

func (r *roster) set(name string, subscribed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.subscribed[name]; ok {
		r.subscribed[name] = subscribed
	}
}

func (r *roster) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.subscribed, name)
}

// list returns the mailboxes that match, sorted, with their attributes.
func (r *roster) list(ref string, patterns []string, o *imap.ListOptions) []imap.ListData {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []imap.ListData
	for name, subscribed := range r.subscribed {
		use := specialUse(name)
		matches := slices.ContainsFunc(patterns, func(p string) bool {
			return imapserver.MatchList(name, delimiter, ref, p)
		})
		if !matches || o.SelectSubscribed && !subscribed || o.SelectSpecialUse && use == nil {
			continue
		}
		attrs := append([]imap.MailboxAttr{r.childrenAttr(name)}, use...)
		if subscribed && (o.ReturnSubscribed || o.SelectSubscribed) {
			attrs = append(attrs, imap.MailboxAttrSubscribed)
		}
		all = append(all, imap.ListData{Mailbox: name, Delim: delimiter, Attrs: attrs})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Mailbox < all[j].Mailbox })
	return all
}

func (r *roster) childrenAttr(name string) imap.MailboxAttr {
	for other := range r.subscribed {
		if strings.HasPrefix(other, name+string(delimiter)) {
			return imap.MailboxAttrHasChildren
		}
	}
	return imap.MailboxAttrHasNoChildren
}

// session is imapmemserver's session with roles in LIST. Before login the
// embedded session is nil; imapserver calls only Login and Close then.
type session struct {
	*imapmemserver.UserSession
	server *Server
}

// Login checks both words in constant time.
func (s *session) Login(name, password string) error {
	user := subtle.ConstantTimeCompare([]byte(name), []byte(userName))
	pass := subtle.ConstantTimeCompare([]byte(password), []byte(s.server.password))
	if user&pass != 1 {
		return imapserver.ErrAuthFailed
	}
	s.UserSession = imapmemserver.NewUserSession(s.server.user)
	return nil
}

// List answers from the roster.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 { // LIST "" "" asks for the delimiter
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: delimiter})
	}
	for _, data := range s.server.roster.list(ref, patterns, o) {
		if o.ReturnStatus != nil {
			status, err := s.Status(data.Mailbox, o.ReturnStatus)
			if err != nil {
				continue // deleted meanwhile: RFC 5819 §2 leaves the STATUS out
			}
			data.Status = status
		}
		if err := w.WriteList(&data); err != nil {
			return err
		}
	}
	return nil
}

// Create keeps the roster in step, as do the four below.
func (s *session) Create(name string, o *imap.CreateOptions) error {
	name = strings.TrimRight(name, string(delimiter))
	if err := s.UserSession.Create(name, o); err != nil {
		return err
	}
	s.server.roster.add(name)
	return nil
}

// Delete removes the mailbox.
func (s *session) Delete(name string) error {
	if err := s.UserSession.Delete(name); err != nil {
		return err
	}
	s.server.roster.remove(name)
	return nil
}

// Rename moves the mailbox alone; imapmemserver leaves children behind.
func (s *session) Rename(from, to string, o *imap.RenameOptions) error {
	to = strings.TrimRight(to, string(delimiter))
	if err := s.UserSession.Rename(from, to, o); err != nil {
		return err
	}
	s.server.roster.remove(from)
	s.server.roster.add(to)
	return nil
}

// Subscribe marks the mailbox as wanted.
func (s *session) Subscribe(name string) error {
	s.server.roster.set(name, true)
	return s.UserSession.Subscribe(name)
}

// Unsubscribe takes the mark away.
func (s *session) Unsubscribe(name string) error {
	s.server.roster.set(name, false)
	return s.UserSession.Unsubscribe(name)
}
