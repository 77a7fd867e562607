package policy

import (
	"slices"
	"strings"
)

// mechanism is a kind of SASL mechanism that takes no password.
type mechanism struct {
	words string
	names []string // one that ends in * is a prefix
}

func mechanisms() []mechanism {
	return []mechanism{
		{"OAuth tokens", []string{"XOAUTH", "XOAUTH2", "OAUTHBEARER"}},
		{"challenge and response", []string{"CRAM-MD5", "DIGEST-MD5", "SCRAM-*", "APOP"}},
		{"Kerberos", []string{"GSSAPI", "GSS-SPNEGO", "GS2-KRB5*", "KERBEROS_V4"}},
		{"Windows domain sign-in", []string{"NTLM"}},
		{"client certificates", []string{"EXTERNAL"}},
		{"guests", []string{"ANONYMOUS"}},
	}
}

// The next steps where no password is taken.
const (
	tokenOnly = "the provider wants a token in place of a password, and mailcote has none: look in its web settings " +
		"for an app password or a switch that allows passwords, then mailcote sync {account}"
	noPlain = "ask the server's operator to allow sign-in with a password (PLAIN) on an encrypted connection, then " +
		"mailcote sync {account}"
	wantsStartTLS = "the server takes no password on a connection without encryption: use {starttls} " +
		"({set starttls})"
	wantsTLS = "the server takes no password on a connection without encryption: try {imaps} ({set imaps})"
)

// Offered describes SASL mechanisms, such as "OAuth tokens (XOAUTH2)". It is ""
// for none.
func Offered(names []string) string {
	by := map[string][]string{}
	for _, name := range names {
		kind := kindOf(name)
		by[kind] = append(by[kind], name)
	}
	var words []string
	for _, m := range append(mechanisms(), mechanism{words: others}) {
		if known := by[m.words]; known != nil {
			words = append(words, m.words+" ("+strings.Join(known, ", ")+")")
		}
	}
	return strings.Join(words, ", ")
}

const others = "other mechanisms"

func kindOf(name string) string {
	for _, m := range mechanisms() {
		if slices.ContainsFunc(m.names, func(known string) bool {
			prefix, some := strings.CutSuffix(known, "*")
			return name == known || some && strings.HasPrefix(name, prefix)
		}) {
			return m.words
		}
	}
	return others
}

// WithoutPassword returns the hint for a server that takes no password on a
// connection. names are the SASL mechanisms that it offers.
func WithoutPassword(names []string, encrypted, startTLS bool) string {
	switch {
	case !encrypted && startTLS:
		return wantsStartTLS
	case !encrypted && len(names) == 0:
		return wantsTLS
	case slices.ContainsFunc(names, func(name string) bool { return kindOf(name) == mechanisms()[0].words }):
		return tokenOnly
	}
	return noPlain
}
