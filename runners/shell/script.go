package shell

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hayate-run/hayate"
)

// headBytes is how much of a script is read to find its interpreter.
const headBytes = 512

// script is how local-shell-script runs: the entry point, through its
// interpreter where the file itself cannot be executed, with the arguments.
func (r *Runner) script(t hayate.Task, s settings) ([]string, error) {
	if s.ContentVersion != "" {
		return nil, fmt.Errorf("content_version %q: running another revision of a pack's content is not supported; register that revision of the pack",
			s.ContentVersion)
	}
	path, err := entryPoint(t)
	if err != nil {
		return nil, err
	}
	op := "--"
	if s.KwargOp != nil {
		op = *s.KwargOp
	}
	args, err := arguments(t.Action, t.Parameters, op)
	if err != nil {
		return nil, err
	}
	argv, err := r.interpreter(path, t.Pipefail)
	if err != nil {
		return nil, err
	}
	return append(argv, args...), nil
}

// entryPoint finds the script under the pack's actions folder. Neither the path
// nor a symbolic link may lead out of the pack.
func entryPoint(t hayate.Task) (string, error) {
	entry := t.Action.EntryPoint
	switch {
	case entry == "":
		return "", fmt.Errorf("entry_point: missing; %s runs the script that it names, under the pack's actions folder", Script)
	case strings.IndexByte(entry, 0) >= 0:
		return "", errors.New("entry_point: contains a NUL character")
	case t.PackDir == "":
		return "", fmt.Errorf("entry_point %q: the files of pack %q are not on this host", entry, t.Action.Pack)
	}
	root, err := filepath.Abs(t.PackDir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return "", fmt.Errorf("folder of pack %q: %v", t.Action.Pack, err)
	}
	path := entry
	if !filepath.IsAbs(path) {
		path = filepath.Join(root, "actions", entry)
	}
	if !filepath.IsAbs(entry) && !within(root, path) {
		return "", fmt.Errorf("entry_point %q: leads out of the pack", entry)
	}
	real, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("entry_point %q: no such file in the pack's actions folder", entry)
	case err != nil:
		return "", fmt.Errorf("entry_point %q: %v", entry, err)
	case !within(root, real):
		return "", fmt.Errorf("entry_point %q: leads out of the pack", entry)
	}
	fi, err := os.Stat(real)
	if err != nil {
		return "", fmt.Errorf("entry_point %q: %v", entry, err)
	}
	if !fi.Mode().IsRegular() {
		return "", fmt.Errorf("entry_point %q: not a file", entry)
	}
	// The path as named is kept: scripts look for their neighbours beside it.
	return path, nil
}

func within(root, path string) bool {
	rel, err := filepath.Rel(root, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// interpreter returns the command that runs a script, without its arguments. A
// missing execute bit is set, as StackStorm does; where that is not possible
// the interpreter of the first line runs the file.
func (r *Runner) interpreter(path string, strict bool) ([]string, error) {
	head, err := readHead(path)
	if err != nil && !errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("read script: %v", err)
	}
	words, binary := shebang(head)
	if binary || err != nil {
		if !executable(path) {
			return nil, fmt.Errorf("script %s: may not be executed, and its mode cannot be changed", path)
		}
		return []string{path}, nil
	}
	if len(words) > 0 && filepath.IsAbs(words[0]) && !exists(words[0]) {
		return nil, fmt.Errorf("script %s: its interpreter %s is not installed on this host", path, words[0])
	}
	if strict {
		if argv := r.strictInterpreter(words, path); argv != nil {
			return argv, nil
		}
	}
	switch {
	case len(words) == 0:
		return []string{r.c.Shell, path}, nil
	case bytes.HasSuffix(firstLine(head), []byte("\r")), !executable(path):
		return append(words, path), nil
	}
	return []string{path}, nil
}

// strictInterpreter runs a script of a Bourne shell so that it fails with any
// member of a pipeline and with unset variables. It returns nil for scripts of
// other interpreters, which have their own ideas of failure.
func (r *Runner) strictInterpreter(words []string, path string) []string {
	name := ""
	if len(words) > 0 {
		name = filepath.Base(words[0])
		if name == "env" {
			name = envProgram(words[1:])
		}
	}
	switch name {
	case "bash":
		if last := words[len(words)-1]; last == "-" || last == "--" {
			words = words[:len(words)-1]
		}
		return append(append(words, strictOptions...), path)
	case "", "sh", "dash", "ash":
		var options []string
		if len(words) == 2 && len(words[1]) > 1 && words[1][0] == '-' && words[1] != "--" && filepath.Base(words[0]) != "env" {
			options = words[1:]
		}
		if r.c.Bash != "" {
			argv := append([]string{r.c.Bash, "--posix"}, options...)
			return append(append(argv, strictOptions...), path)
		}
		argv := append([]string{r.c.Shell}, options...)
		return append(argv, "-c", strictPrelude+`. "$0"`, path)
	}
	return nil
}

// envProgram is the program that /usr/bin/env starts for a first line.
func envProgram(args []string) string {
	for _, w := range strings.Fields(strings.Join(args, " ")) {
		if !strings.HasPrefix(w, "-") && !strings.Contains(w, "=") {
			return filepath.Base(w)
		}
	}
	return ""
}

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

func firstLine(head []byte) []byte {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return line
}

// shebang returns the interpreter that a script's first line names, and its
// argument if there is one: the kernel splits only once. A file without such a
// line is a shell's script, unless it is binary.
func shebang(head []byte) (words []string, binary bool) {
	line, ok := bytes.CutPrefix(firstLine(head), []byte("#!"))
	if !ok {
		return nil, bytes.IndexByte(head, 0) >= 0
	}
	name, arg, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(line), "\t", " ")), " ")
	if name == "" {
		return nil, false
	}
	if arg = strings.TrimSpace(arg); arg != "" {
		return []string{name, arg}, false
	}
	return []string{name}, false
}

// executable sees to it that the file may be executed, and says whether it may.
func executable(path string) bool {
	fi, err := os.Stat(path)
	if err != nil {
		return false
	}
	if mayExecute(path) {
		return true
	}
	return os.Chmod(path, fi.Mode().Perm()|0o111) == nil && mayExecute(path)
}
