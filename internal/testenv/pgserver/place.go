package pgserver

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is who runs Postgres: it refuses to run as root, so that root hands
// its files and processes to another user.
type owner struct {
	uid, gid int
	other    bool // not the user we run as
}

func currentOwner() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			continue
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil || uid == 0 {
			continue
		}
		return owner{uid: uid, gid: gid, other: true}, nil
	}
	return owner{}, errors.New("running as root, and Postgres refuses to: create a user named postgres (useradd --system postgres) or run as another user")
}

// credential is what a child needs to run as the owner; nil for ourselves.
func (o owner) credential() *syscall.Credential {
	if !o.other {
		return nil
	}
	return &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
}

// give makes path the owner's.
func (o owner) give(path string) error {
	if !o.other {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}

// reaches reports whether the owner may walk down to dir; what does not exist
// yet counts as its nearest existing parent.
func (o owner) reaches(dir string) bool {
	if !o.other {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err == nil && !o.enters(info) {
			return false
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

func (o owner) enters(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	mode := info.Mode().Perm()
	switch {
	case int(stat.Uid) == o.uid:
		return mode&0o100 != 0
	case int(stat.Gid) == o.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// place returns dir, or where the owner cannot walk to it (root's home is
// closed to others), a directory that stands for it under parent. parent must
// be one that only root writes to: a name foretold in /tmp could be taken by
// anybody.
func (o owner) place(dir, parent string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if !o.reaches(dir) {
		sum := sha256.Sum256([]byte(dir))
		dir = filepath.Join(parent, "kikuai-"+hex.EncodeToString(sum[:6]))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if !o.reaches(dir) {
		return "", fmt.Errorf("user id %d, who runs Postgres, cannot enter %s: choose a directory that others may enter (chmod o+x its parents)", o.uid, dir)
	}
	return dir, nil
}
