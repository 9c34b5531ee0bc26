package pin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes the files of the plan: all or, if anything fails, none. Each
// file is replaced by a rename, so a reader sees the old or the new content.
// A file that is read-only by its mode, or that is no longer what the plan
// was computed from, is an error, also for root. After an error all files are
// as they were, unless the error says otherwise.
func (p *Patch) Write() (err error) {
	var staged []*stagedFile
	defer func() {
		for _, s := range staged {
			err = errors.Join(err, s.discard())
		}
	}()
	var problems []error
	for _, file := range p.Files {
		problems = append(problems, file.check())
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, file := range p.Files {
		s, err := stage(file)
		if s != nil {
			staged = append(staged, s)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w; nothing was changed", file.Path, err)
		}
	}
	// Staging took time: look again right before the first rename.
	for _, file := range p.Files {
		if err := file.check(); err != nil {
			return err
		}
	}
	for i, s := range staged {
		if err := s.commit(); err != nil {
			return fmt.Errorf("writing %s: %w; %w", s.path, err, restore(staged[:i]))
		}
	}
	return syncFolders(p.Files)
}

// check tells whether the file can be replaced.
func (f PatchedFile) check() error {
	info, err := os.Lstat(f.Path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.Path, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("writing %s: it is no longer a regular file", f.Path)
	}
	content, err := readWritable(f.Path)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("writing %s: %w (mode %s); make it writable to have it pinned", f.Path, err, info.Mode())
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.Path, err)
	}
	if !bytes.Equal(content, f.Old) {
		return fmt.Errorf("writing %s: the file has changed since it was read; run again", f.Path)
	}
	return nil
}

// readWritable reads a file that may also be written. It is an error where the
// user or the file system does not let the file be written: renaming would
// replace it all the same. Root may write what has no mode for it.
func readWritable(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	return content, errors.Join(err, file.Close())
}

// A stagedFile is a file of the plan with what it takes to replace it and to
// take that back, all on disk.
type stagedFile struct {
	path string
	// next holds the new content, backup the old; "" once used up.
	next, backup string
}

// stage writes the new content beside the file and keeps the old there too. It
// returns what it made, also with an error.
func stage(file PatchedFile) (*stagedFile, error) {
	info, err := os.Lstat(file.Path)
	if err != nil {
		return nil, err
	}
	s := &stagedFile{path: file.Path}
	if s.next, err = writeBeside(file.Path, file.New, info); err != nil {
		return s, err
	}
	// A second name for the old file takes no space, and gives back the very
	// file. Where file systems have no second names, a copy has to do.
	link := s.next + ".old"
	if err := os.Link(file.Path, link); err == nil {
		s.backup = link
		return s, nil
	}
	s.backup, err = writeBeside(file.Path, file.Old, info)
	return s, err
}

// writeBeside writes a temporary file in the folder of path, with the mode of
// info and, as far as permitted, its owner. The content is on disk when it
// returns. It returns the name also with an error, if there is a file.
func writeBeside(path string, content []byte, info fs.FileInfo) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".rtbuild-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}()
	if _, err := file.Write(content); err != nil {
		return file.Name(), err
	}
	// Only root may give files away; for others the file is theirs, as with
	// an editor that replaces files. The owner comes before the mode, because
	// changing it clears mode bits.
	if err := copyOwner(file, info); err != nil && !errors.Is(err, fs.ErrPermission) {
		return file.Name(), err
	}
	if err := file.Chmod(info.Mode()); err != nil {
		return file.Name(), err
	}
	return file.Name(), file.Sync()
}

// commit puts the new content in place.
func (s *stagedFile) commit() error {
	if err := os.Rename(s.next, s.path); err != nil {
		return err
	}
	s.next = ""
	return nil
}

// restore takes commits back. The error, never nil, tells how that went.
func restore(committed []*stagedFile) error {
	var failed []error
	for _, s := range committed {
		if err := os.Rename(s.backup, s.path); err != nil {
			// The backup is all there is of the old content: leave it.
			failed = append(failed, fmt.Errorf("%s stays changed, its old content is in %s: %w", s.path, s.backup, err))
		}
		s.backup = ""
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return errors.New("nothing was changed")
}

// discard removes what is left of the temporary files.
func (s *stagedFile) discard() error {
	var failed []error
	for _, name := range []string{s.next, s.backup} {
		if name == "" {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, fmt.Errorf("removing a temporary file: %w", err))
		}
	}
	return errors.Join(failed...)
}

// syncFolders makes the renames last through a crash.
func syncFolders(files []PatchedFile) error {
	done := map[string]bool{}
	for _, file := range files {
		folder := filepath.Dir(file.Path)
		if done[folder] {
			continue
		}
		done[folder] = true
		dir, err := os.Open(folder)
		if err != nil {
			return fmt.Errorf("the files are written, but %s could not be flushed to disk: %w", folder, err)
		}
		err = errors.Join(ignoreUnsupported(dir.Sync()), dir.Close())
		if err != nil {
			return fmt.Errorf("the files are written, but %s could not be flushed to disk: %w", folder, err)
		}
	}
	return nil
}

// ignoreUnsupported drops the error of file systems on which folders cannot be
// flushed.
func ignoreUnsupported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) || isInvalid(err) {
		return nil
	}
	return err
}
