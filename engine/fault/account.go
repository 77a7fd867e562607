package fault

import (
	"cmp"
	"net"
	"net/url"
	"strconv"
	"strings"

	"mailcote/engine/imap"
)

// Account is the account that a next step is for.
type Account struct {
	Name     string // "": it is not added yet
	User     string
	Host     string
	Port     int
	Security imap.Security
}

// URL returns the account's URL without a password, as one word of a shell
// command.
func (a Account) URL() string { return a.at(a.Security, a.Port) }

// at is URL with another security and port.
func (a Account) at(security imap.Security, port int) string {
	scheme := map[imap.Security]string{imap.TLS: "imaps", imap.StartTLS: "imap+starttls"}[security]
	// Every character that a shell or a URL reads otherwise is escaped.
	user := strings.ReplaceAll(url.QueryEscape(a.User), "+", "%20")
	return cmp.Or(scheme, "imap") + "://" + user + "@" + net.JoinHostPort(a.Host, strconv.Itoa(port))
}

// fill writes the account's own values into the words of a next step. An
// account that is not added yet cannot be synced: that part is left out.
func (a Account) fill(words string) string {
	if a.Name == "" {
		words, _, _ = strings.Cut(words, "then mailcote sync {account}")
		words = strings.TrimRight(words, ",; ")
	}
	startTLS, withTLS := "mailcote account add with that URL", "mailcote account add with that URL"
	if a.Name != "" {
		startTLS = "mailcote account set " + a.Name + " --security starttls"
		withTLS = "mailcote account set " + a.Name + " --security tls --port 993"
	}
	return strings.NewReplacer("{account}", a.Name, "{url}", a.URL(), "{starttls}", a.at(imap.StartTLS, a.Port),
		"{imaps}", a.at(imap.TLS, 993), "{set starttls}", startTLS, "{set imaps}", withTLS,
		"{server}", net.JoinHostPort(a.Host, strconv.Itoa(a.Port))).Replace(words)
}
