package routertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

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
