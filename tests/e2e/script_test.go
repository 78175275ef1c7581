package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// untilWait bounds how long a script waits for something to come.
const untilWait = 30 * time.Second

// TestScripts runs the scripts of the command line. Beside testscript's own they
// have the commands
//
//	serve [FLAG...]     start a server on $WORK/data with the packs of $WORK/packs,
//	                    and point the command line at it
//	shutdown, crash     end it gently, or with SIGKILL
//	serverlog           all that it has printed becomes stdout
//	[!] until REGEXP COMMAND...   run a command again and again until its stdout
//	                    matches (does not match)
//	keep NAME           what the last until found, its first group, becomes $NAME
func TestScripts(t *testing.T) {
	bin := filepath.Dir(hayatetest.Binary(t))
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("HAYATE_DATA", filepath.Join(env.WorkDir, "data"))
			st := &stage{env: env, tb: env.T().(testing.TB)}
			env.Values[stageKey{}] = st
			env.Defer(st.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "shutdown": shutdown, "crash": crash, "serverlog": serverlog, "until": until, "keep": keep,
		},
	})
}

// stage is what a script has running.
type stage struct {
	env    *testscript.Env
	tb     testing.TB
	server *hayatetest.Server
	found  []string // what the last until matched
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

func (st *stage) end() {
	if st.server != nil {
		st.server.Kill()
	}
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	st := stageOf(ts)
	o := hayatetest.Options{Data: ts.MkAbs("data"), Args: args, Env: []string{"DEMO_DIR=" + ts.MkAbs("demo")}}
	if _, err := os.Stat(ts.MkAbs("packs")); err == nil {
		o.Packs = ts.MkAbs("packs")
	}
	s, err := hayatetest.TryStart(st.tb, o)
	if neg {
		if err == nil {
			ts.Fatalf("the server started")
		}
		ts.Logf("%v", err)
		return
	}
	ts.Check(err)
	st.server = s
	ts.Setenv("HAYATE_SERVER", s.URL)
}

func running(ts *testscript.TestScript) *hayatetest.Server {
	s := stageOf(ts).server
	if s == nil {
		ts.Fatalf("no server runs: serve comes first")
	}
	return s
}

func shutdown(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(running(ts).Stop()) }

func crash(ts *testscript.TestScript, _ bool, _ []string) { running(ts).Kill() }

func serverlog(ts *testscript.TestScript, _ bool, _ []string) {
	_, err := ts.Stdout().Write([]byte(running(ts).Log()))
	ts.Check(err)
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND...")
	}
	st := stageOf(ts)
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	over := time.NewTimer(untilWait)
	defer over.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	path := args[1]
	if path == "hayate" {
		path = hayatetest.Binary(st.tb)
	}
	for {
		cmd := exec.Command(path, args[2:]...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = append(os.Environ(), "HAYATE_SERVER="+ts.Getenv("HAYATE_SERVER"), "HAYATE_TOKEN="+ts.Getenv("HAYATE_TOKEN"), "HAYATE_DATA="+ts.Getenv("HAYATE_DATA"), "HOME="+ts.Getenv("HOME"))
		out, err := cmd.Output()
		if st.found = re.FindStringSubmatch(string(out)); (st.found != nil) != neg {
			return
		}
		select {
		case <-over.C:
			ts.Fatalf("not within %s: %s of %s; the last answer: %v\n%s", untilWait, args[0], strings.Join(args[1:], " "), err, out)
		case <-tick.C:
		}
	}
}

func keep(ts *testscript.TestScript, _ bool, args []string) {
	st := stageOf(ts)
	if len(args) != 1 || len(st.found) < 2 {
		ts.Fatalf("usage: keep NAME, after an until whose expression has a group")
	}
	ts.Setenv(args[0], st.found[1])
}
