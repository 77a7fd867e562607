package owner

import "golang.org/x/sys/unix"

func remoteFS(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	// f_type is signed on some architectures and the SMB numbers use the top
	// bit.
	return remoteKind(uint32(st.Type)), nil
}

// remoteKind knows the numbers of statfs(2) whose files another machine, or a
// program, may serve. FUSE is among them because sync folders and sshfs are
// FUSE, and whether shared memory works there is the program's choice.
func remoteKind(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB/CIFS"
	case unix.FUSE_SUPER_MAGIC:
		return "FUSE"
	case unix.V9FS_MAGIC:
		return "9P"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	}
	return ""
}
