package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
)

// Login says who signs in, and where.
type Login struct {
	User     string
	Host     string // lower case
	Port     int
	Security imap.Security
	Password secret.Secret // empty: none was given
}

// ErrURL is wrapped by errors about an account URL that cannot be read. The
// message says what is wrong with it.
var ErrURL = errors.New("account URL")

// ParseURL reads an account URL: imap://user:password@host[:port] (plain, port
// 143), imaps:// (TLS, port 993) or imap+starttls:// (port 143). User and
// password are percent-decoded. An error never contains the password.
func ParseURL(s string) (Login, error) {
	var l Login
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return l, fmt.Errorf("%w: there is no scheme: write imaps://user@host", ErrURL)
	}
	switch strings.ToLower(scheme) {
	case "imap":
		l.Security = imap.Plain
	case "imaps":
		l.Security = imap.TLS
	case "imap+starttls":
		l.Security = imap.StartTLS
	default: // do not repeat the text: it may be a password
		return l, fmt.Errorf("%w: it begins with no scheme that is known: use imaps, imap+starttls or, for this "+
			"machine only, imap", ErrURL)
	}
	l.Port = l.Security.Port()
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		if strings.Trim(rest[i:], "/") != "" {
			return l, fmt.Errorf("%w: it ends after host and port; percent-encode / ? # in user and password", ErrURL)
		}
		rest = rest[:i]
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return l, fmt.Errorf("%w: there is no user: write %s://user@host", ErrURL, strings.ToLower(scheme))
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	name, err := url.PathUnescape(user)
	if err != nil {
		return l, fmt.Errorf("%w: the user has a %% that is not followed by two hex digits: write %%25 for a percent "+
			"sign", ErrURL)
	}
	value, err := url.PathUnescape(password)
	if err != nil {
		return l, fmt.Errorf("%w: the password has a %% that is not followed by two hex digits: write %%25 for a "+
			"percent sign", ErrURL)
	}
	l.User, l.Password = name, secret.New(value)
	if err := l.setHost(rest[at+1:]); err != nil {
		return l, err
	}
	if l.User == "" || strings.ContainsAny(l.User, "\x00\r\n") || strings.ContainsAny(value, "\x00\r\n") {
		return l, fmt.Errorf("%w: the user is empty, or user or password hold a line break", ErrURL)
	}
	return l, nil
}

func (l *Login) setHost(hostport string) error {
	host := hostport
	if h, port, err := net.SplitHostPort(hostport); err == nil {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("%w: the port must be a number from 1 to 65535", ErrURL)
		}
		host, l.Port = h, n
	} else if strings.HasPrefix(hostport, "[") && strings.HasSuffix(hostport, "]") {
		host = hostport[1 : len(hostport)-1]
	} else if strings.Count(hostport, ":") > 0 {
		return fmt.Errorf("%w: host and port cannot be told apart: write [::1]:143 for an IPv6 address", ErrURL)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\@%"<>`, r)
	}) {
		return fmt.Errorf("%w: %.60q is no host name", ErrURL, host)
	}
	l.Host = host
	return nil
}

// Name returns the account's name for the case that the user chooses none.
func (l Login) Name() string {
	if strings.Contains(l.User, "@") {
		return l.User
	}
	return l.Key()
}

// Key names the login among others: user and host, on a loopback host also the
// port, where each may be another server. The secrets file has it too.
func (l Login) Key() string {
	if imap.Loopback(l.Host) {
		return l.User + "@" + l.Endpoint().Addr()
	}
	return l.oldKey()
}

// oldKey is the key that earlier versions used for every host.
func (l Login) oldKey() string { return l.User + "@" + l.Host }

// SavedRef returns the reference to a password that is saved under Key. That of
// an account whose password an earlier version saved under oldKey has no value.
func (l Login) SavedRef() secret.Ref {
	if l.Key() == l.oldKey() {
		return secret.Ref{Kind: secret.Saved}
	}
	return secret.Ref{Kind: secret.Saved, Value: l.Key()}
}

// Resolve returns the password that an account's reference leads to. A saved one
// is found under the account's own keys only, whatever the reference says.
func (l Login) Resolve(ctx context.Context, ref secret.Ref, box secret.Box) (secret.Secret, error) {
	if ref.Kind == secret.Saved && ref.Value != "" {
		ref.Value = l.Key()
	}
	return ref.Resolve(ctx, box, l.oldKey())
}

// URL returns the login as a URL without its password.
func (l Login) URL() string { return l.named("").URL() }

// AccountURL returns the URL of an account, without a password: it is what
// gives the account another password.
func AccountURL(a storage.Account) string { return loginOf(a).URL() }

// named is the login as the next steps of faults name it. name is the
// account's; "": there is none yet.
func (l Login) named(name string) fault.Account {
	return fault.Account{Name: name, User: l.User, Host: l.Host, Port: l.Port, Security: l.Security}
}

// Endpoint returns where the server listens.
func (l Login) Endpoint() imap.Endpoint {
	return imap.Endpoint{Host: l.Host, Port: l.Port, Security: l.Security}
}
