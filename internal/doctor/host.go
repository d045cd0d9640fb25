package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	freeWorth = 0.10 // of a disk
	freeLeast = 0.03
)

// Host is this machine: disks whose files are here, and where backups lie.
type Host struct {
	Disks   func(ctx context.Context) map[string]string // directories, by whose they are
	Backups string                                      // a directory; "": not looked at
	Oldest  time.Duration                               // that the newest backup may be
	Now     func() time.Time
	Free    func(dir string) (free, total uint64, err error) // bytes; nil: of the system
}

// Checks of the machine.
func (h Host) Checks() []Check {
	checks := []Check{{"host.disk", h.disk}, {"host.zone", h.zone}}
	if h.Backups != "" {
		checks = append(checks, Check{"host.backups", h.backups})
	}
	return checks
}

func (h Host) disk(ctx context.Context) (found []Finding) {
	free := h.Free
	if free == nil {
		free = diskFree
	}
	disks := h.Disks(ctx)
	for _, whose := range slices.Sorted(maps.Keys(disks)) {
		dir := disks[whose]
		left, total, err := free(dir)
		if err != nil || total == 0 {
			continue // it lies elsewhere, or is not ours to see
		}
		part := float64(left) / float64(total)
		says := fmt.Sprintf("%s of %s are free where %s keeps its files (%s).", size(int64(min(left, 1<<62))), size(int64(min(total, 1<<62))), whose, dir)
		switch {
		case part < freeLeast:
			found = append(found, fault("make room before the disk is full: then nothing is written, and paid calls get 503", "%s", says))
		case part < freeWorth:
			found = append(found, warning("make room: a full disk stops paid calls", "%s", says))
		default:
			found = append(found, well("%s", says))
		}
	}
	return found
}

func (h Host) zone(context.Context) []Finding {
	name, offset := h.Now().Zone()
	return []Finding{well("This machine's time zone is %s (UTC%+d min), on which nothing depends: days are cut in UTC, or in their reader's zone.", name, offset/60)}
}

// backups is the age of the newest file there. The log that is received beside backups (wal)
// is none, and neither is what a backup under way or its lock has there (hidden).
func (h Host) backups(context.Context) []Finding {
	const mend = "look at the log of the backup's timer, and make one now"
	var newest time.Time
	var name string
	var bytes int64
	err := filepath.WalkDir(h.Backups, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := path != h.Backups && strings.HasPrefix(entry.Name(), "."); entry.IsDir() && (hidden || entry.Name() == "wal") {
			return fs.SkipDir
		} else if hidden || !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was cleared away meanwhile
		}
		if err == nil && info.ModTime().After(newest) {
			newest, name, bytes = info.ModTime(), path, info.Size()
		}
		return err
	})
	age := h.Now().Sub(newest).Round(time.Minute)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return []Finding{fault("correct --backups", "There is no directory %s.", h.Backups)}
	case err != nil:
		return []Finding{fault("let this user read it", "%s cannot be read.", h.Backups)}
	case name == "":
		return []Finding{fault(mend, "There is no backup in %s.", h.Backups)}
	case bytes == 0:
		return []Finding{fault(mend, "The newest backup is empty: %s.", name)}
	case age > h.Oldest:
		return []Finding{fault(mend, "The newest backup is %s old: %s.", age, name)}
	}
	return []Finding{well("The newest backup is %s old: %s, %s.", age, name, size(bytes))}
}
