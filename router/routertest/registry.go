package routertest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// RegistryUnderTest is a registry and how the suite may treat it.
type RegistryUnderTest struct {
	Registry router.Registry
	Reopen   func(t *testing.T) router.Registry // see StoreUnderTest
	Close    func() error                       // nil where it has no end of its own
}

// TestRegistry tests a registry.
func TestRegistry(t *testing.T, open func(t *testing.T) RegistryUnderTest) {
	for name, test := range map[string]func(*testing.T, RegistryUnderTest){
		"keeps documents by kind and ref":        registryKeeps,
		"grows the revision with every write":    registryRevisions,
		"refuses what was not expected":          registryExpect,
		"lets one of eight expectations win":     registryRace,
		"tells what changed, and what is gone":   registryChanges,
		"wakes those that wait for a change":     registryWait,
		"ends those that wait when it closes":    registryClose,
		"keeps documents and revisions on disk":  registryReopen,
		"registers and removes several together": registrySeveral,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func document(kind, ref, body string) router.Document {
	return router.Document{DocumentKey: router.DocumentKey{Kind: kind, Ref: ref}, Body: json.RawMessage(body)}
}

func register(t *testing.T, r router.Registry, docs ...router.Document) int64 {
	t.Helper()
	rev, err := r.Put(ctx(t), docs...)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return rev
}

// registered lists "ref=body" in order of revision, "ref-" for removed ones.
func registered(t *testing.T, r router.Registry, kind string, since int64) ([]string, int64) {
	t.Helper()
	docs, rev, err := r.List(ctx(t), kind, since)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	list := []string{}
	last := since
	for _, d := range docs {
		if d.Revision < last || d.Revision > rev || kind != "" && d.Kind != kind {
			t.Errorf("document %+v is out of order in the list of %q from %d to %d", d, kind, since, rev)
		}
		last = d.Revision
		if d.Deleted {
			list = append(list, d.Ref+"-")
		} else {
			list = append(list, d.Ref+"="+string(d.Body))
		}
	}
	return list, rev
}

func registryKeeps(t *testing.T, u RegistryUnderTest) {
	r := u.Registry
	if got, rev := registered(t, r, "", 0); len(got) != 0 || rev != 0 {
		t.Errorf("an empty registry lists %v at %d", got, rev)
	}
	register(t, r, document("rule", "a.b", `{"n": 1.0}`))
	register(t, r, document("rule", "a.c", `"日本"`))
	register(t, r, document("pack", "a.b", `{}`))
	got, _ := registered(t, r, "rule", 0)
	same(t, "rules", got, []string{`a.b={"n": 1.0}`, `a.c="日本"`})
	got, _ = registered(t, r, "", 0)
	same(t, "all", got, []string{`a.b={"n": 1.0}`, `a.c="日本"`, `a.b={}`})
	register(t, r, document("rule", "a.b", `2`))
	got, _ = registered(t, r, "rule", 0)
	same(t, "rules, one replaced", got, []string{`a.c="日本"`, `a.b=2`})
	if _, err := r.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "a.c"}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	got, _ = registered(t, r, "", 0)
	same(t, "all, one removed", got, []string{`a.b={}`, `a.b=2`})
}

func registryRevisions(t *testing.T, u RegistryUnderTest) {
	r := u.Registry
	last := int64(0)
	for n := range 3 {
		rev := register(t, r, document("rule", fmt.Sprint(n), `1`))
		if rev != last+1 {
			t.Errorf("write %d has revision %d, want %d", n, rev, last+1)
		}
		last = rev
	}
	rev, err := r.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "0"})
	if err != nil || rev != last+1 {
		t.Errorf("Delete has revision %d, error %v; want %d", rev, err, last+1)
	}
	if _, err := r.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "never"}); err != nil {
		t.Errorf("Delete of what is not there: %v", err)
	}
	if _, newest := registered(t, r, "", 0); newest < rev {
		t.Errorf("newest revision is %d, want at least %d", newest, rev)
	}
}

func registryExpect(t *testing.T, u RegistryUnderTest) {
	r := u.Registry
	expect := func(rev int64) router.Document {
		d := document("rule", "a.b", fmt.Sprint(rev))
		d.Expect = &rev
		return d
	}
	_, err := r.Put(ctx(t), expect(7))
	wantKind(t, "Put expecting what is not there", err, hayate.ErrConflict)
	rev := register(t, r, expect(-1))
	for _, bad := range []int64{-1, 0, rev + 1} {
		_, err := r.Put(ctx(t), expect(bad))
		wantKind(t, fmt.Sprint("Put expecting ", bad), err, hayate.ErrConflict)
	}
	got, _ := registered(t, r, "", 0)
	same(t, "documents", got, []string{"a.b=-1"})
	rev = register(t, r, expect(rev))
	if _, err := r.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "a.b"}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err = r.Put(ctx(t), expect(rev))
	wantKind(t, "Put expecting what was removed", err, hayate.ErrConflict)
	register(t, r, expect(-1))
}

func registryRace(t *testing.T, u RegistryUnderTest) {
	rev := register(t, u.Registry, document("setting", "x", `0`))
	won := 0
	for i, err := range race(8, func(i int) error {
		d := document("setting", "x", fmt.Sprint(i))
		d.Expect = &rev
		_, err := u.Registry.Put(ctx(t), d)
		return err
	}) {
		if err == nil {
			won++
			continue
		}
		wantKind(t, fmt.Sprint("caller ", i), err, hayate.ErrConflict)
	}
	if won != 1 {
		t.Errorf("%d callers replaced one revision, want 1", won)
	}
}

func registryChanges(t *testing.T, u RegistryUnderTest) {
	r := u.Registry
	register(t, r, document("rule", "a", `1`))
	_, since := registered(t, r, "", 0)
	register(t, r, document("rule", "b", `1`))
	register(t, r, document("pack", "p", `1`))
	if _, err := r.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "a"}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	got, now := registered(t, r, "", since)
	same(t, "changes", got, []string{"b=1", "p=1", "a-"})
	got, _ = registered(t, r, "rule", since)
	same(t, "changes of rules", got, []string{"b=1", "a-"})
	got, _ = registered(t, r, "", now)
	same(t, "changes since now", got, []string{})
	register(t, r, document("rule", "a", `2`))
	got, _ = registered(t, r, "", now)
	same(t, "what came back", got, []string{"a=2"})
}

func registryWait(t *testing.T, u RegistryUnderTest) {
	r := u.Registry
	rev := register(t, r, document("rule", "a", `1`))
	if err := r.Wait(ctx(t), rev-1); err != nil {
		t.Errorf("Wait for a change that was: %v", err)
	}
	c, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantKind(t, "Wait for a change that does not come", r.Wait(c, rev), context.DeadlineExceeded)
	woken := make(chan error, 2)
	for range 2 {
		go func() { woken <- r.Wait(ctx(t), rev) }()
	}
	register(t, r, document("rule", "b", `1`))
	for range 2 {
		if err := <-woken; err != nil {
			t.Errorf("Wait: %v", err)
		}
	}
}

func registryClose(t *testing.T, u RegistryUnderTest) {
	if u.Close == nil {
		t.Skip("this registry has no end of its own")
	}
	ended := make(chan error, 1)
	go func() { ended <- u.Registry.Wait(ctx(t), 1000) }()
	if err := u.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantKind(t, "a waiting Wait", <-ended, hayate.ErrBusy)
	_, err := u.Registry.Put(ctx(t), document("rule", "a", `1`))
	wantKind(t, "Put", err, hayate.ErrBusy)
	_, _, err = u.Registry.List(ctx(t), "", 0)
	wantKind(t, "List", err, hayate.ErrBusy)
}

func registryReopen(t *testing.T, u RegistryUnderTest) {
	if u.Reopen == nil {
		t.Skip("this registry leaves nothing behind")
	}
	register(t, u.Registry, document("rule", "a", `1`))
	register(t, u.Registry, document("rule", "b", `1`))
	if _, err := u.Registry.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "b"}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	want, rev := registered(t, u.Registry, "", 1)
	r := u.Reopen(t)
	got, again := registered(t, r, "", 1)
	if same(t, "changes", got, want); again != rev {
		t.Errorf("newest revision is %d, want %d", again, rev)
	}
	if next := register(t, r, document("rule", "c", `1`)); next != rev+1 {
		t.Errorf("next revision is %d, want %d", next, rev+1)
	}
}

func registrySeveral(t *testing.T, u RegistryUnderTest) {
	r := u.Registry
	rev := register(t, r, document("rule", "a", `1`), document("rule", "b", `2`), document("pack", "p", `3`))
	got, newest := registered(t, r, "", 0)
	if len(got) != 3 || newest != rev {
		t.Errorf("registered %v at %d, want three at %d", got, newest, rev)
	}
	if _, err := r.Delete(ctx(t), router.DocumentKey{Kind: "rule", Ref: "a"}, router.DocumentKey{Kind: "none", Ref: "a"}, router.DocumentKey{Kind: "pack", Ref: "p"}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	got, _ = registered(t, r, "", 0)
	same(t, "what remains", got, []string{"b=2"})
}
