package routertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
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

// DatastoreUnderTest is a datastore and how the suite may treat it.
type DatastoreUnderTest struct {
	Datastore router.Datastore
	Reopen    func(t *testing.T) router.Datastore // see StoreUnderTest
	Close     func() error                        // nil where it has no end of its own
}

// TestDatastore tests a datastore.
func TestDatastore(t *testing.T, open func(t *testing.T) DatastoreUnderTest) {
	for name, test := range map[string]func(*testing.T, DatastoreUnderTest){
		"keeps values":                   datastoreKeeps,
		"tells scopes and users apart":   datastoreScopes,
		"forgets what has expired":       datastoreExpires,
		"lists keys in order, by prefix": datastoreLists,
		"keeps values on disk":           datastoreReopen,
		"sets from many at once":         datastoreRace,
		"refuses after close":            datastoreClose,
		"deletes once":                   datastoreDelete,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func system(name string) router.Key { return router.Key{Scope: "system", Name: name} }

func set(t *testing.T, d router.Datastore, k router.Key, it router.Item) {
	t.Helper()
	if err := d.Set(ctx(t), k, it); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

func getKeys(t *testing.T, d router.Datastore, now time.Time, keys ...router.Key) map[router.Key]router.Item {
	t.Helper()
	got, err := d.Get(ctx(t), now, keys...)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return got
}

func datastoreKeeps(t *testing.T, u DatastoreUnderTest) {
	it := router.Item{Value: "値 \"quoted\"\n", Secret: true, Created: after(1), Updated: after(2), Expires: after(5000)}
	set(t, u.Datastore, system("a.b$c"), it)
	got := getKeys(t, u.Datastore, after(3), system("a.b$c"), system("none"))
	if len(got) != 1 {
		t.Fatalf("Get gave %d values, want 1", len(got))
	}
	same(t, "value", got[system("a.b$c")], it)
	set(t, u.Datastore, system("a.b$c"), router.Item{Value: ""})
	got = getKeys(t, u.Datastore, after(3), system("a.b$c"))
	same(t, "replaced value", got[system("a.b$c")], router.Item{})
	if got := getKeys(t, u.Datastore, after(3)); len(got) != 0 {
		t.Errorf("Get of no keys gave %v", got)
	}
}

func datastoreScopes(t *testing.T, u DatastoreUnderTest) {
	keys := []router.Key{system("k"), {Scope: "user", User: "anna", Name: "k"}, {Scope: "user", User: "bob", Name: "k"}, system("anna:k")}
	for i, k := range keys {
		set(t, u.Datastore, k, router.Item{Value: fmt.Sprint(i)})
	}
	for i, k := range keys {
		if got := getKeys(t, u.Datastore, after(1), k)[k].Value; got != fmt.Sprint(i) {
			t.Errorf("%+v is %q, want %d", k, got, i)
		}
	}
}

func datastoreExpires(t *testing.T, u DatastoreUnderTest) {
	set(t, u.Datastore, system("short"), router.Item{Value: "1", Expires: after(10)})
	set(t, u.Datastore, system("long"), router.Item{Value: "2"})
	for seconds, want := range map[int]int{9: 2, 10: 1, 11: 1} {
		if got := getKeys(t, u.Datastore, after(seconds), system("short"), system("long")); len(got) != want {
			t.Errorf("at %d s there are %d values, want %d", seconds, len(got), want)
		}
		pairs, err := u.Datastore.Keys(ctx(t), after(seconds), router.KeyQuery{Limit: -1})
		if err != nil || len(pairs) != want {
			t.Errorf("at %d s Keys gave %d, error %v; want %d", seconds, len(pairs), err, want)
		}
	}
	set(t, u.Datastore, system("short"), router.Item{Value: "3", Expires: after(100)})
	if got := getKeys(t, u.Datastore, after(50), system("short")); got[system("short")].Value != "3" {
		t.Errorf("a value set anew is %v", got)
	}
}

func datastoreLists(t *testing.T, u DatastoreUnderTest) {
	for _, k := range []router.Key{
		{Scope: "user", User: "bob", Name: "x"}, system("b.2"), system("B"), {Scope: "user", User: "anna", Name: "z"},
		system("b.10"), {Scope: "user", User: "anna", Name: "b.1"}, system("あ"), system("b_2"), system("b%"),
	} {
		set(t, u.Datastore, k, router.Item{Value: k.Name})
	}
	for _, c := range []struct {
		q    router.KeyQuery
		want string
	}{
		{router.KeyQuery{Limit: -1}, "B b% b.10 b.2 b_2 あ anna/b.1 anna/z bob/x"},
		{router.KeyQuery{Scope: "system", Limit: -1}, "B b% b.10 b.2 b_2 あ"},
		{router.KeyQuery{Scope: "user", User: "anna", Limit: -1}, "anna/b.1 anna/z"},
		{router.KeyQuery{Prefix: "b.", Limit: -1}, "b.10 b.2 anna/b.1"},
		{router.KeyQuery{Prefix: "b_", Limit: -1}, "b_2"},
		{router.KeyQuery{Prefix: "b%", Limit: -1}, "b%"},
		{router.KeyQuery{Prefix: "あ", Limit: -1}, "あ"},
		{router.KeyQuery{Prefix: "none", Limit: -1}, ""},
		{router.KeyQuery{Offset: 2, Limit: 3}, "b.10 b.2 b_2"},
		{router.KeyQuery{Offset: 7, Limit: -1}, "anna/z bob/x"},
		{router.KeyQuery{Offset: 70, Limit: 5}, ""},
	} {
		pairs, err := u.Datastore.Keys(ctx(t), after(1), c.q)
		if err != nil {
			t.Fatalf("Keys: %v", err)
		}
		var got []string
		for _, p := range pairs {
			name := p.Name
			if p.User != "" {
				name = p.User + "/" + name
			}
			if p.Value != p.Name {
				t.Errorf("%s has the value %q, want its name", name, p.Value)
			}
			got = append(got, name)
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("Keys of %+v: got %q, want %q", c.q, g, c.want)
		}
	}
}

func datastoreReopen(t *testing.T, u DatastoreUnderTest) {
	if u.Reopen == nil {
		t.Skip("this datastore leaves nothing behind")
	}
	it := router.Item{Value: "v", Created: after(1)}
	set(t, u.Datastore, system("a"), it)
	d := u.Reopen(t)
	same(t, "value", getKeys(t, d, after(2), system("a"))[system("a")], it)
}

func datastoreRace(t *testing.T, u DatastoreUnderTest) {
	for i, err := range race(8, func(i int) error {
		for n := range 5 {
			if err := u.Datastore.Set(ctx(t), system(fmt.Sprint(i, "-", n)), router.Item{Value: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return u.Datastore.Set(ctx(t), system("shared"), router.Item{Value: fmt.Sprint(i)})
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	pairs, err := u.Datastore.Keys(ctx(t), after(1), router.KeyQuery{Limit: -1})
	if err != nil || len(pairs) != 41 {
		t.Errorf("there are %d keys, error %v; want 41", len(pairs), err)
	}
}

func datastoreDelete(t *testing.T, u DatastoreUnderTest) {
	wantKind(t, "Delete of what is not there", u.Datastore.Delete(ctx(t), system("a")), hayate.ErrNotFound)
	set(t, u.Datastore, system("a"), router.Item{Value: "1"})
	set(t, u.Datastore, router.Key{Scope: "user", User: "u", Name: "a"}, router.Item{Value: "2"})
	if err := u.Datastore.Delete(ctx(t), system("a")); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantKind(t, "Delete again", u.Datastore.Delete(ctx(t), system("a")), hayate.ErrNotFound)
	if got := getKeys(t, u.Datastore, after(1), system("a"), router.Key{Scope: "user", User: "u", Name: "a"}); len(got) != 1 {
		t.Errorf("%d values remain, want that of the user", len(got))
	}
}

func datastoreClose(t *testing.T, u DatastoreUnderTest) {
	if u.Close == nil {
		t.Skip("this datastore has no end of its own")
	}
	if err := u.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err := u.Datastore.Get(ctx(t), after(1), system("a"))
	wantKind(t, "Get", err, hayate.ErrBusy)
	wantKind(t, "Set", u.Datastore.Set(ctx(t), system("a"), router.Item{}), hayate.ErrBusy)
	wantKind(t, "Delete", u.Datastore.Delete(ctx(t), system("a")), hayate.ErrBusy)
	_, err = u.Datastore.Keys(ctx(t), after(1), router.KeyQuery{})
	wantKind(t, "Keys", err, hayate.ErrBusy)
}

// TestLeases tests a keeper of leases.
func TestLeases(t *testing.T, open func(t *testing.T) router.Leases) {
	for name, test := range map[string]func(*testing.T, router.Leases){
		"is held by one, until it runs out": leaseHeld,
		"is extended by its holder":         leaseExtended,
		"is given up by its holder alone":   leaseReleased,
		"is given to one of eight":          leaseRace,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func leaseHeld(t *testing.T, l router.Leases) {
	first, err := l.Acquire(ctx(t), "shard-1", "a", after(0), after(10))
	if err != nil || first <= 0 {
		t.Fatalf("Acquire gave token %d, error %v", first, err)
	}
	_, err = l.Acquire(ctx(t), "shard-1", "b", after(9), after(20))
	wantKind(t, "Acquire while another holds it", err, hayate.ErrConflict)
	if _, err := l.Acquire(ctx(t), "shard-2", "b", after(9), after(20)); err != nil {
		t.Errorf("Acquire of another lease: %v", err)
	}
	second, err := l.Acquire(ctx(t), "shard-1", "b", after(11), after(20))
	if err != nil || second <= first {
		t.Errorf("Acquire after it ran out gave token %d, error %v; want more than %d", second, err, first)
	}
	_, err = l.Acquire(ctx(t), "shard-1", "a", after(12), after(30))
	wantKind(t, "Acquire by the former holder", err, hayate.ErrConflict)
}

func leaseExtended(t *testing.T, l router.Leases) {
	first, err := l.Acquire(ctx(t), "x", "a", after(0), after(10))
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	again, err := l.Acquire(ctx(t), "x", "a", after(5), after(100))
	if err != nil || again != first {
		t.Errorf("extending gave token %d, error %v; want %d again", again, err, first)
	}
	_, err = l.Acquire(ctx(t), "x", "b", after(50), after(60))
	wantKind(t, "Acquire of an extended lease", err, hayate.ErrConflict)
}

func leaseReleased(t *testing.T, l router.Leases) {
	if err := l.Release(ctx(t), "x", "a"); err != nil {
		t.Errorf("Release of what nobody holds: %v", err)
	}
	first, err := l.Acquire(ctx(t), "x", "a", after(0), after(100))
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	if err := l.Release(ctx(t), "x", "b"); err != nil {
		t.Errorf("Release of what another holds: %v", err)
	}
	_, err = l.Acquire(ctx(t), "x", "b", after(1), after(100))
	wantKind(t, "Acquire", err, hayate.ErrConflict)
	if err := l.Release(ctx(t), "x", "a"); err != nil {
		t.Fatalf("Release: %v", err)
	}
	second, err := l.Acquire(ctx(t), "x", "b", after(1), after(100))
	if err != nil || second <= first {
		t.Errorf("Acquire after the release gave token %d, error %v; want more than %d", second, err, first)
	}
}

func leaseRace(t *testing.T, l router.Leases) {
	for round := range 3 {
		tokens := make([]int64, 8)
		won := -1
		for i, err := range race(8, func(i int) (err error) {
			tokens[i], err = l.Acquire(ctx(t), "x", fmt.Sprint("node-", i), after(round*100), after(round*100+50))
			return err
		}) {
			if err == nil && won >= 0 {
				t.Errorf("nodes %d and %d both hold the lease", won, i)
			}
			if err == nil {
				won = i
			} else {
				wantKind(t, fmt.Sprint("node ", i), err, hayate.ErrConflict)
			}
		}
		if won < 0 {
			t.Error("no node holds the lease")
		}
	}
}

// TestBlobs tests a keeper of blobs.
func TestBlobs(t *testing.T, open func(t *testing.T) router.Blobs) {
	for name, test := range map[string]func(*testing.T, router.Blobs){
		"keeps bytes by their content":      blobsKeep,
		"stores the same bytes once":        blobsOnce,
		"knows no blob that was not stored": blobsMissing,
		"deletes, and nothing twice":        blobsDelete,
		"keeps nothing of a broken reader":  blobsBroken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func store(t *testing.T, b router.Blobs, data []byte) hayate.BlobRef {
	t.Helper()
	ref, err := b.Put(ctx(t), bytes.NewReader(data))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return ref
}

func load(t *testing.T, b router.Blobs, hash string) []byte {
	t.Helper()
	r, err := b.Get(ctx(t), hash)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	defer r.Close() // only read
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return data
}

func blobsKeep(t *testing.T, b router.Blobs) {
	for _, data := range [][]byte{nil, []byte("x"), []byte("日本語\x00\xff"), bytes.Repeat([]byte("large "), 200_000)} {
		ref := store(t, b, data)
		sum := sha256.Sum256(data)
		if want := "sha256:" + hex.EncodeToString(sum[:]); ref.Hash != want || ref.Size != int64(len(data)) {
			t.Errorf("stored %d bytes as %+v, want %s", len(data), ref, want)
		}
		if got := load(t, b, ref.Hash); !bytes.Equal(got, data) {
			t.Errorf("loaded %d bytes, want the %d that were stored", len(got), len(data))
		}
	}
}

func blobsOnce(t *testing.T, b router.Blobs) {
	data := []byte("the same again")
	want := store(t, b, data)
	for i, err := range race(8, func(int) error {
		ref, err := b.Put(ctx(t), bytes.NewReader(data))
		if err == nil && ref != want {
			err = fmt.Errorf("stored as %+v, want %+v", ref, want)
		}
		return err
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if err := b.Delete(ctx(t), want.Hash); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	_, err := b.Get(ctx(t), want.Hash)
	wantKind(t, "Get after one deletion", err, hayate.ErrNotFound)
}

func blobsMissing(t *testing.T, b router.Blobs) {
	sum := sha256.Sum256([]byte("never stored"))
	for _, hash := range []string{"sha256:" + hex.EncodeToString(sum[:]), "sha256:", "", "../../etc/passwd", "sha256:../../x"} {
		_, err := b.Get(ctx(t), hash)
		wantKind(t, fmt.Sprintf("Get %q", hash), err, hayate.ErrNotFound)
		if err := b.Delete(ctx(t), hash); err != nil {
			t.Errorf("Delete %q: %v", hash, err)
		}
	}
}

func blobsDelete(t *testing.T, b router.Blobs) {
	keep, drop := store(t, b, []byte("keep")), store(t, b, []byte("drop"))
	for range 2 {
		if err := b.Delete(ctx(t), drop.Hash); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	_, err := b.Get(ctx(t), drop.Hash)
	wantKind(t, "Get", err, hayate.ErrNotFound)
	if got := load(t, b, keep.Hash); string(got) != "keep" {
		t.Errorf("the other blob is %q", got)
	}
	if ref := store(t, b, []byte("drop")); ref != drop || string(load(t, b, ref.Hash)) != "drop" {
		t.Errorf("stored again as %+v, want %+v", ref, drop)
	}
}

var errReader = errors.New("the connection broke")

func blobsBroken(t *testing.T, b router.Blobs) {
	_, err := b.Put(ctx(t), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errReader)))
	wantKind(t, "Put", err, errReader)
	sum := sha256.Sum256([]byte("half"))
	_, err = b.Get(ctx(t), "sha256:"+hex.EncodeToString(sum[:]))
	wantKind(t, "Get", err, hayate.ErrNotFound)
}
