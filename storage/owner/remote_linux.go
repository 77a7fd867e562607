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

// remoteKind returns the file system that a number of statfs(2) stands for if
// another machine, the host of a virtual machine or a program may serve its
// files. FUSE is among them because sync folders and sshfs are FUSE, and whether
// shared memory works there is the program's choice. File systems of clusters
// are among them because each machine of one has shared memory of its own.
//
// The numbers without a name are from linux/magic.h, fs/vboxsf/super.c,
// linux/gfs2_ondisk.h and the table of coreutils' stat.
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
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	case unix.OCFS2_SUPER_MAGIC:
		return "OCFS2"
	case 0x01161970:
		return "GFS2"
	case 0x0bd00bd0:
		return "Lustre"
	case 0x47504653:
		return "GPFS"
	case 0x19830326:
		return "BeeGFS"
	case 0xaad7aaea:
		return "PanFS"
	case 0x20030528:
		return "OrangeFS"
	case 0x786f4256:
		return "vboxsf"
	case 0x7c7c6673:
		return "prl_fs"
	case 0xbacbacbc:
		return "vmhgfs"
	}
	return ""
}
