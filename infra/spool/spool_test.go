package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/spool"
	"github.com/hayate-run/hayate/router/outpost"
)

func TestEntriesSurviveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "spool")
	d, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	e := outpost.Entry{State: outpost.Claiming, Claim: "abc", Execution: "x", Token: "t"}
	if err := d.Put(e); err != nil {
		t.Fatal(err)
	}
	e.State, e.Result = outpost.Done, &hayate.Result{Status: hayate.StatusSucceeded, Value: []byte(`{"n":1}`)}
	if err := errors.Join(d.Put(e), d.Put(outpost.Entry{Claim: "def"}), d.Drop("def"), d.Drop("def")); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Open(path); !errors.Is(err, hayate.ErrBusy) {
		t.Errorf("a second process opens it: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = spool.Open(path); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, err := d.All()
	if err != nil || len(all) != 1 || all[0].State != outpost.Done || string(all[0].Result.Value) != `{"n":1}` {
		t.Errorf("it holds %+v, %v", all, err)
	}
	if fi, err := os.Stat(filepath.Join(path, "abc.json")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("others can read an entry: %v, %v", fi.Mode(), err)
	}
}

func TestWhatIsNoEntryIsPutAside(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	d, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := errors.Join(os.WriteFile(filepath.Join(path, "half.json"), []byte(`{"sta`), 0o600), d.Put(outpost.Entry{Claim: "abc"})); err != nil {
		t.Fatal(err)
	}
	all, err := d.All()
	if err == nil || len(all) != 1 {
		t.Errorf("it holds %d entries and says %v, want one and what is wrong", len(all), err)
	}
	if all, err = d.All(); err != nil || len(all) != 1 {
		t.Errorf("looked at again it says %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "half.json.bad")); err != nil {
		t.Error(err)
	}
	if err := d.Put(outpost.Entry{Claim: "../x"}); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("a claim that leads out is stored: %v", err)
	}
}
