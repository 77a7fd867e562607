package owner

import "golang.org/x/sys/unix"

func remoteFS(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	switch kind := unix.ByteSliceToString(st.Fstypename[:]); kind {
	case "nfs", "smbfs", "afpfs", "webdav", "macfuse", "osxfuse":
		return kind, nil
	}
	return "", nil
}
