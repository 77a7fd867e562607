package agent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const tokenBytes = 32

// Token returns the bearer token of the store named by storeKey, creating it
// in stateDir when there is none. The file has mode 0600 and is the same for
// every start. A file that is a symlink, belongs to another user, or can be
// read by others is refused. Two processes that start together get the same
// token.
func Token(stateDir, storeKey string) (string, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return "", fmt.Errorf("state directory for the token: %w", err)
	}
	sum := sha256.Sum256([]byte(storeKey))
	path := filepath.Join(stateDir, "token-"+hex.EncodeToString(sum[:8]))
	token, err := readToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if err := createToken(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return readToken(path)
}

// createToken writes a whole file and links it to path. Whoever sees the file
// sees all of it, and an existing one stays.
func createToken(path string) error {
	secret := make([]byte, tokenBytes)
	rand.Read(secret)
	draft := path + "." + rand.Text()
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create the token file: %w", err)
	}
	defer os.Remove(draft)
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(secret) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the token file: %w", err)
	}
	if err := os.Link(draft, path); err != nil {
		return fmt.Errorf("create the token file: %w", err)
	}
	return nil
}

func readToken(path string) (string, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if !before.Mode().IsRegular() {
		return "", fmt.Errorf("token file %s is not a regular file; remove it to get a new token", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	if !os.SameFile(before, info) {
		return "", fmt.Errorf("token file %s was replaced while it was read", path)
	}
	if err := CheckPrivate(info); err != nil {
		return "", fmt.Errorf("token file %s %w; remove it to get a new token", path, err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSuffix(string(raw), "\n")
	if secret, err := base64.RawURLEncoding.DecodeString(token); err != nil || len(secret) != tokenBytes {
		return "", fmt.Errorf("token file %s is damaged; remove it to get a new token", path)
	}
	return token, nil
}
