package dovecot

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// probeUser logs in only for Logins, which does not count it.
const probeUser = "login-count-probe"

// prepare makes the directories, the password file and the certificate.
func (s *Server) prepare() error {
	// The login processes run as another user when we are root and must reach their sockets below.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	for _, sub := range []string{"run", "state", "home"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	s.mailUID, s.mailGID = os.Getuid(), os.Getgid()
	if s.mailUID == 0 {
		// Dovecot refuses mail that belongs to root.
		if err := s.mailBelongsTo("dovecot"); err != nil {
			return err
		}
	}
	if err := s.give(filepath.Join(s.dir, "home")); err != nil {
		return err
	}
	var users strings.Builder
	fmt.Fprintf(&users, "%s:{PLAIN}%s\n", probeUser, s.token)
	for name, password := range s.config.Users {
		fmt.Fprintf(&users, "%s:{PLAIN}%s\n", name, password)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "users"), []byte(users.String()), 0o644); err != nil {
		return err
	}
	if !s.config.TLS {
		return nil
	}
	roots, err := writeCertificate(filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem"))
	if err != nil {
		return err
	}
	s.Roots = roots
	return nil
}

// render gives the configuration file. Every setting that is not Dovecot's default is here for a reason:
//   - mail_fsync=never and login processes that serve many clients: tests are many and short;
//   - anvil's penalty listener and the failure delay: see Config.Penalty;
//   - auth_debug: one line in the log for each login attempt, see Logins.
func (s *Server) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
protocols = imap
listen = 127.0.0.1
login_greeting = Dovecot for a test, %[2]s
shutdown_clients = yes
auth_mechanisms = plain login
auth_debug = yes
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
mail_fsync = never
mail_max_userip_connections = 1000
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {
  inbox = yes
  separator = /
  mailbox Drafts {
    special_use = \Drafts
  }
  mailbox Junk {
    special_use = \Junk
  }
  mailbox Sent {
    special_use = \Sent
  }
  mailbox Trash {
    special_use = \Trash
  }
  mailbox Archive {
    special_use = \Archive
  }
}
passdb {
  driver = passwd-file
  args = %[1]s/users
}
userdb {
  driver = static
  args = uid=%[3]d gid=%[4]d home=%[1]s/home/%%u
}
service imap-login {
  service_count = 0
  client_limit = 2000
  process_limit = 1
  inet_listener imap {
    port = %[5]d
  }
  inet_listener imaps {
    port = %[6]d
    ssl = yes
  }
}
service imap {
  process_limit = 1000
}
`, s.dir, s.token, s.mailUID, s.mailGID, s.port, s.listenTLS())
	if s.config.TLS {
		fmt.Fprintf(&b, "ssl = yes\nssl_cert = <%[1]s/cert.pem\nssl_key = <%[1]s/key.pem\n", s.dir)
	} else {
		b.WriteString("ssl = no\n")
	}
	if !s.config.Penalty {
		b.WriteString("auth_failure_delay = 0\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n " +
			" }\n}\n")
	}
	if os.Getuid() != 0 {
		b.WriteString(ordinaryUser())
	}
	b.WriteString(s.config.Extra)
	return b.String()
}

// listenTLS is the TLS port; 0 tells Dovecot not to listen.
func (s *Server) listenTLS() int {
	if s.config.TLS {
		return s.tlsPort
	}
	return 0
}

// ordinaryUser runs every service as the caller and without chroot, which only root may do.
func ordinaryUser() string {
	name, group := fmt.Sprint(os.Getuid()), fmt.Sprint(os.Getgid())
	if u, err := user.Current(); err == nil {
		name = u.Username
		if g, err := user.LookupGroupId(u.Gid); err == nil {
			group = g.Name
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "default_internal_user = %s\ndefault_internal_group = %s\ndefault_login_user = %s\n", name, group,
		name)
	for _, service := range []string{"imap-login", "anvil", "stats", "ipc", "director", "dns_client", "old-stats"} {
		fmt.Fprintf(&b, "service %s {\n  chroot =\n}\n", service)
	}
	return b.String()
}

func (s *Server) mailBelongsTo(name string) error {
	owner, err := user.Lookup(name)
	if err != nil {
		return err
	}
	if s.mailUID, err = strconv.Atoi(owner.Uid); err != nil {
		return err
	}
	s.mailGID, err = strconv.Atoi(owner.Gid)
	return err
}

// give makes a file or directory belong to the owner of the mail.
func (s *Server) give(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(path, s.mailUID, s.mailGID)
}
