// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/filewatch"
)

// patience is how long something may take that is about to happen.
const patience = 60 * time.Second

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heard waits until the watch tells of something.
func heard(t *testing.T, w *filewatch.Watch) {
	t.Helper()
	select {
	case <-w.Changes():
	case <-time.After(patience):
		t.Fatal("not told of a change")
	}
}

// drain forgets what was told.
func drain(w *filewatch.Watch) {
	for {
		select {
		case <-w.Changes():
		case <-time.After(200 * time.Millisecond):
			return
		}
	}
}

// TestFollow makes each kind of change: the watch tells, and a look shows it.
func TestFollow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string)
		same   bool // the look shows no file that changed
	}{
		{"written", func(t *testing.T, dir string) { write(t, dir+"/maps/a", "other text") }, false},
		{"renamed over", func(t *testing.T, dir string) {
			write(t, dir+"/maps/.new", "1")
			do(t, os.Rename(dir+"/maps/.new", dir+"/maps/a"))
		}, false},
		{"removed", func(t *testing.T, dir string) { do(t, os.Remove(dir+"/maps/a")) }, false},
		{"a link of the folder swapped", func(t *testing.T, dir string) {
			write(t, dir+"/v2/b", "1")
			do(t, os.Symlink("v2", dir+"/next"))
			do(t, os.Rename(dir+"/next", dir+"/current"))
		}, false},
		{"a file behind two links", func(t *testing.T, dir string) { write(t, dir+"/v1/b", "other text") }, false},
		{"a file that comes", func(t *testing.T, dir string) { write(t, dir+"/later/on/c", "1") }, false},
		{"something new in a folder", func(t *testing.T, dir string) { write(t, dir+"/folder/new", "1") }, true},
		{"a folder that comes", func(t *testing.T, dir string) { write(t, dir+"/nowhere/new", "1") }, true},
		{"a folder renamed", func(t *testing.T, dir string) { do(t, os.Rename(dir+"/maps", dir+"/gone")) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir+"/maps/a", "1")
			write(t, dir+"/v1/b", "1")
			write(t, dir+"/folder/x", "1")
			do(t, os.Symlink("v1", dir+"/current"))
			do(t, os.Symlink(dir+"/current/b", dir+"/maps/link"))
			files := []string{dir + "/maps/a", dir + "/maps/link", dir + "/later/on/c"}
			w := filewatch.New()
			defer w.Close()
			do(t, w.Follow(files, []string{dir + "/folder", dir + "/nowhere"}))
			before := filewatch.At(files)
			drain(w)
			tt.change(t, dir)
			heard(t, w)
			for end := time.Now().Add(patience); !tt.same && len(filewatch.At(files).Since(before)) == 0; {
				if time.Now().After(end) {
					t.Fatal("the look is as before")
				}
			}
		})
	}
}

// TestFollowAgain watches folders that take the place of others.
func TestFollowAgain(t *testing.T) {
	dir := t.TempDir()
	files := []string{dir + "/a/file"}
	w := filewatch.New()
	defer w.Close()
	for i := range 3 {
		do(t, os.MkdirAll(dir+"/a", 0o755))
		do(t, w.Follow(files, nil))
		drain(w)
		write(t, dir+"/a/file", fmt.Sprint(i))
		heard(t, w)
		do(t, os.RemoveAll(dir+"/a"))
		heard(t, w)
	}
}

// TestOthers hears nothing of files beside those that are followed.
func TestOthers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a", "1")
	w := filewatch.New()
	defer w.Close()
	do(t, w.Follow([]string{dir + "/a"}, nil))
	drain(w)
	write(t, dir+"/b", "1")
	write(t, dir+"/a", "2") // events of one folder come in order
	heard(t, w)
	drain(w)
	write(t, dir+"/b", "2")
	do(t, os.Remove(dir+"/b"))
	do(t, os.Mkdir(dir+"/c", 0o755))
	select {
	case <-w.Changes():
		t.Error("told of another file")
	case <-time.After(300 * time.Millisecond):
	}
}

func TestLinksWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	do(t, os.Symlink("b", dir+"/a"))
	do(t, os.Symlink("a", dir+"/b"))
	w := filewatch.New()
	defer w.Close()
	do(t, w.Follow([]string{dir + "/a"}, nil))
	before := filewatch.At([]string{dir + "/a"})
	drain(w)
	do(t, os.Remove(dir+"/b"))
	write(t, dir+"/b", "1")
	heard(t, w)
	if changed := filewatch.At([]string{dir + "/a"}).Since(before); len(changed) != 1 {
		t.Errorf("%v changed", changed)
	}
}

func TestTooManyFolders(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range filewatch.MaxFolders + 1 {
		files = append(files, fmt.Sprintf("%s/%d/file", dir, i))
		do(t, os.Mkdir(filepath.Dir(files[i]), 0o755))
	}
	w := filewatch.New()
	defer w.Close()
	if err := w.Follow(files, nil); err == nil || !strings.Contains(err.Error(), "at most 1024 are watched") {
		t.Errorf("error %v", err)
	}
	do(t, w.Follow(files[:10], nil))
	drain(w)
	write(t, files[3], "1")
	heard(t, w)
}

func TestBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "feed")
	write(t, path, "1")
	if filewatch.BeingWritten(path) {
		t.Error("nobody writes")
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	do(t, err)
	if !filewatch.BeingWritten(path) {
		t.Error("it is open for writing")
	}
	do(t, file.Close())
	reader, err := os.Open(path)
	do(t, err)
	defer func() { do(t, reader.Close()) }()
	if filewatch.BeingWritten(path) {
		t.Error("it is open for reading alone")
	}
	for _, other := range []string{"/dev/null", filepath.Dir(path), path + "/none"} {
		if filewatch.BeingWritten(other) {
			t.Errorf("%s is not a file that can be half written", other)
		}
	}
	do(t, syscall.Mkfifo(path+".fifo", 0o600))
	if filewatch.BeingWritten(path + ".fifo") {
		t.Error("a FIFO is not a file that can be half written")
	}
}

const inChild = "FILEWATCH_WITHOUT_INOTIFY"

// TestWithoutInotify runs itself in a user namespace that may have no watcher.
func TestWithoutInotify(t *testing.T) {
	if os.Getenv(inChild) != "" {
		withoutInotify(t)
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestWithoutInotify$", "-test.v")
	c.Env = append(os.Environ(), inChild+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func withoutInotify(t *testing.T) {
	const limit = "/proc/sys/user/max_inotify_instances"
	do(t, os.WriteFile(limit, []byte("0"), 0))
	dir := t.TempDir()
	w := filewatch.New()
	defer w.Close()
	files := []string{dir + "/a"}
	if err := w.Follow(files, nil); err == nil || !strings.Contains(err.Error(), "fs.inotify.max_user_instances") {
		t.Fatalf("error %v", err)
	}
	before := filewatch.At(files)
	write(t, dir+"/a", "1")
	if changed := filewatch.At(files).Since(before); len(changed) != 1 {
		t.Errorf("a look shows that %v changed", changed)
	}
	do(t, os.WriteFile(limit, []byte("10"), 0))
	do(t, w.Follow(files, nil))
	drain(w)
	write(t, dir+"/a", "2")
	heard(t, w)
}
