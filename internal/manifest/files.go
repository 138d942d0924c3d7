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
	if !info.IsDir() {
		return []source{read(path)}, nil
	}
	files, err := list(path, o.Recursive)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("folder has no *.yaml, *.yml or *.json")
	}
	sources := make([]source, 0, len(files))
	for _, f := range files {
		sources = append(sources, read(f))
	}
	return sources, nil
}

func read(path string) source {
	data, err := os.ReadFile(path)
	return source{file: path, data: data, err: err}
}

// list is the manifests in a folder, in the order of names.
func list(dir string, recursive bool) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir && !recursive:
			return fs.SkipDir
		case !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}
