// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stdin is the path that stands for standard input.
const stdin = "-"

// source is the whole text of one file.
type source struct {
	file string
	data []byte
	err  error // why it can't be read
}

func display(path string) string {
	if path == stdin {
		return "standard input"
	}
	return path
}

// cause is an error without the operation and path of a *fs.PathError, which the place names already.
func cause(err error) string {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// open reads what path stands for.
func open(path string, o Options) ([]source, error) {
	if path == stdin {
		data, err := io.ReadAll(o.Stdin)
		return []source{{file: display(path), data: data, err: err}}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
	case o.Watched:
		return []source{readRegular(path)}, nil
	default:
		return []source{read(path)}, nil
	}
	files, _, err := list(path, o.Recursive)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && !o.Watched {
		return nil, fmt.Errorf("folder has no *.yaml, *.yml or *.json")
	}
	sources := make([]source, 0, len(files))
	for _, f := range files {
		sources = append(sources, readRegular(f))
	}
	return sources, nil
}

// readRegular reads a file that was found in a folder: nobody has asked for it by its name, and one that is a FIFO would
// be waited for.
func readRegular(path string) source {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	if err != nil {
		return source{file: path, err: err}
	}
	return read(path)
}

func read(path string) source {
	data, err := os.ReadFile(path)
	return source{file: path, data: data, err: err}
}

// Files are the files that Read reads, and the folders in which it looks for them, as far as they are there. A path
// that leads to nothing is a file.
func Files(o Options) (files, folders []string) {
	for _, path := range o.Paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			files = append(files, path)
			continue
		}
		inFolder, all, _ := list(path, o.Recursive) // what can't be read is Read's to tell
		files, folders = append(files, inFolder...), append(folders, all...)
	}
	return files, folders
}

// list is the manifests in a folder, in the order of names, and the folders that they were looked for in. The folder may
// be a symbolic link to one. Folders whose names begin with ".." are those of a ConfigMap's volume (kubelet's atomic
// writer), whose files are linked from where they belong.
func list(dir string, recursive bool) (files, folders []string, err error) {
	root := dir + string(filepath.Separator) // with it, a link is followed
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (!recursive || strings.HasPrefix(d.Name(), "..")):
			return fs.SkipDir
		case d.IsDir():
			folders = append(folders, filepath.Clean(path))
		case strings.HasPrefix(d.Name(), ".#"): // a lock of Emacs: a link that leads nowhere
		case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			files = append(files, path)
		}
		return nil
	})
	return files, folders, err
}
