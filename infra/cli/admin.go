package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/router"
)

func (a *app) storeCommand() *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "check, count and back up the store"}
	var data string
	c.PersistentFlags().StringVar(&data, "data", "", "work on this directory, which no server may hold; default: ask the server")
	c.AddCommand(a.storeCheck(&data), a.storeStats(&data), a.storeBackup(&data))
	return c
}

// withStore opens a directory for the time of a call.
func (a *app) withStore(dir string, f func(router.Store) error) error {
	if _, err := os.Stat(filepath.Join(dir, "hayate.db")); err != nil {
		return usage("there is no store in %s: %v", dir, err)
	}
	s, err := a.OpenStore(dir)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

func (a *app) storeCheck(data *string) *cobra.Command {
	return &cobra.Command{Use: "check", Short: "look for damage; exit code 1 says that something was found", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		var findings []string
		if *data != "" {
			err := a.withStore(*data, func(s router.Store) (err error) {
				findings, err = s.Check(c.Context())
				return err
			})
			if err != nil {
				return err
			}
		} else {
			var o struct{ Findings []string }
			if err := a.send(c.Context(), http.MethodPost, "/v1/store/check", struct{}{}, &o); err != nil {
				return err
			}
			findings = o.Findings
		}
		for _, f := range findings {
			fmt.Fprintln(a.Stdout, f)
		}
		if len(findings) > 0 {
			return &exit{code: exitError}
		}
		_, err := fmt.Fprintln(a.Stdout, "the store is sound")
		return err
	}}
}

func (a *app) storeStats(data *string) *cobra.Command {
	return &cobra.Command{Use: "stats", Short: "count what the store holds", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		var raw []byte
		if *data != "" {
			err := a.withStore(*data, func(s router.Store) error {
				st, err := s.Stats(c.Context())
				if err != nil {
					return err
				}
				raw, err = json.Marshal(st)
				return err
			})
			if err != nil {
				return err
			}
		} else {
			r, err := a.call(c.Context(), http.MethodGet, "/v1/store/stats", nil, nil, "")
			if err != nil {
				return err
			}
			raw = r.body
		}
		return a.printObject(raw, "engine", func(o object) error { a.showStats(o); return nil })
	}}
}

func (a *app) showStats(o object) {
	a.pairs([][2]string{{"engine", text(o, "engine")}, {"size", bytesText(o["bytes"])}, {"events", text(o, "events")}, {"firings", text(o, "firings")},
		{"keys", text(o, "keys")}, {"blobs", text(o, "blobs")}, {"oldest", a.when(text(o, "oldest"))}, {"commits", text(o, "commits")}, {"writes", text(o, "writes")}})
	m, _ := o["executions"].(object)
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintf(a.Stdout, "executions %s: %s\n", a.paint(n), text(m, n))
	}
}

func bytesText(v any) string {
	n := number(v)
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", n/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", n/(1<<10))
}

func (a *app) storeBackup(data *string) *cobra.Command {
	return &cobra.Command{Use: "backup PATH", Short: "write a consistent copy to PATH on the server's host, while it serves", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if *data != "" {
			err = a.withStore(*data, func(s router.Store) error { return s.Backup(c.Context(), path) })
		} else {
			err = a.send(c.Context(), http.MethodPost, "/v1/store/backup", map[string]string{"path": path}, nil)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "the store is copied to %s\n", path)
		return err
	}}
}

func (a *app) authCommand() *cobra.Command {
	c := &cobra.Command{Use: "auth", Short: "access to the API"}
	c.PersistentFlags().StringVar(&a.data, "data", "", "the server's data directory on this host; whoever may read it needs no token, and for create no server need run (default: $HAYATE_DATA, else hayate-data)")
	t := &cobra.Command{Use: "token", Short: "create, list and revoke access tokens"}
	var user, note string
	var ttl time.Duration
	create := &cobra.Command{Use: "create", Short: "create a token and print it, this once; it is stored hashed", Args: exactly(0),
		Long: "Creates an access token and prints it, this once: it is stored hashed.\n" +
			"On the server's own host no token is needed for this, whatever the server listens on: the command finds it through its data directory.\n" +
			"With --data the token can also be made before the server is started.",
		Example: "  hayate auth token create --user zabbix --note \"media type\"\n  hayate auth token create --data /var/lib/hayate --ttl 8760h",
		RunE: func(c *cobra.Command, _ []string) error {
			raw, err := a.createToken(c.Context(), user, note, ttl)
			if err != nil {
				return err
			}
			return a.printObject(raw, "id", func(o object) error {
				fmt.Fprintln(a.Stdout, text(o, "token"))
				a.say("Keep it: it is not shown again. Use it as HAYATE_TOKEN, or as the header X-Auth-Token. Revoke it: hayate auth token delete %s", text(o, "id"))
				return nil
			})
		}}
	create.Flags().StringVar(&user, "user", "admin", "user that the token stands for")
	create.Flags().StringVar(&note, "note", "", "what it is for")
	create.Flags().DurationVar(&ttl, "ttl", 0, "time after which it expires; 0 never")
	list := &cobra.Command{Use: "list", Short: "list tokens", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		return a.lists(c, &listFlags{limit: -1}, "/v1/tokens", url.Values{}, []column{field("ID", "id"), field("USER", "user"), field("NOTE", "note"), a.moment("CREATED", "created"), field("EXPIRES", "expires")})
	}}
	del := &cobra.Command{Use: "delete ID...", Aliases: []string{"revoke"}, Short: "revoke tokens", Args: atLeast(1), RunE: func(c *cobra.Command, args []string) error {
		for _, id := range args {
			if _, err := a.call(c.Context(), http.MethodDelete, "/v1/tokens/"+url.PathEscape(id), nil, nil, ""); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "token %s is revoked\n", id)
		}
		return nil
	}}
	t.AddCommand(create, list, del)
	c.AddCommand(t)
	return c
}

// createToken asks the server, or writes to the store where none runs.
func (a *app) createToken(ctx context.Context, user, note string, ttl time.Duration) (json.RawMessage, error) {
	r, err := a.call(ctx, http.MethodPost, "/v1/tokens", nil, mustJSON(map[string]any{"user": user, "note": note, "ttl": int64(ttl / time.Second)}), "application/json")
	var op *net.OpError
	if err == nil || a.named() != "" || !errors.As(err, &op) {
		return r.body, err
	}
	dir := a.directory()
	if _, statErr := os.Stat(filepath.Join(dir, "hayate.db")); statErr != nil && a.data == "" {
		return nil, err // no server, and no directory that was named: a store is not made by accident
	}
	secret, t, err := a.CreateToken(ctx, dir, user, note, ttl)
	if err != nil {
		return nil, fmt.Errorf("create a token in %s: %w", dir, err)
	}
	return json.Marshal(map[string]any{"token": secret, "id": t.ID, "user": t.User, "note": t.Note, "created": t.Created})
}

func mustJSON(v any) []byte {
	b, err := plainJSON(v)
	if err != nil {
		panic(err) // maps of plain values
	}
	return b
}

// plainJSON encodes a value with <, > and & as they are, for people to read.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "one screen: what runs, what waits, what failed last; exit code 1 when unhealthy", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		r, err := a.call(c.Context(), http.MethodGet, "/v1/status", nil, nil, "")
		if err != nil {
			return err
		}
		if err := a.printObject(r.body, "version", a.showStatus); err != nil {
			return err
		}
		var o object
		if err := decode(r.body, &o); err != nil {
			return err
		}
		if at(o, "healthy") != true {
			return &exit{code: exitError}
		}
		return nil
	}}
}

// zeroless leaves out what there is none of.
func zeroless(n string) string {
	if n == "0" {
		return ""
	}
	return n
}

// problemsOf counts what is wrong with the packs; "" where nothing is.
func problemsOf(o object) string {
	errs, warns := text(o, "problems.errors"), text(o, "problems.warnings")
	if (errs == "" || errs == "0") && (warns == "" || warns == "0") {
		return ""
	}
	return errs + " error(s), " + warns + " warning(s) in packs; see them with: hayate pack problems"
}

// showWorker is the line of a worker elsewhere.
func (a *app) showWorker(m object) {
	tags, _ := m["tags"].([]any)
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = fmt.Sprint(t)
	}
	said := "last seen " + a.when(text(m, "last_seen"))
	if m["stopping"] == true {
		said = "stopped, " + said
	}
	fmt.Fprintf(a.Stdout, "worker %s on %s (tags: %s; %s): %s running, %s\n", text(m, "worker"), text(m, "host"), strings.Join(names, ", "), text(m, "version"), text(m, "running"), said)
}

func (a *app) showStatus(o object) error {
	health := "healthy"
	if at(o, "healthy") != true {
		health = "NOT HEALTHY"
	}
	last := a.when(text(o, "last_event"))
	if last == "" {
		last = "none yet"
	}
	a.pairs([][2]string{{"server", a.address()}, {"version", text(o, "version")}, {"health", health}, {"packs", text(o, "packs")},
		{"rules", text(o, "rules") + " (" + text(o, "rules_enabled") + " enabled)"}, {"actions", text(o, "actions")}, {"problems", problemsOf(o)},
		{"waiting", text(o, "waiting")}, {"running", text(o, "running")}, {"paused", zeroless(text(o, "paused"))}, {"last event", last}, {"store", bytesText(at(o, "store.bytes")) + ", " + text(o, "store.events") + " events"}})
	checks, _ := o["checks"].(object)
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if v := checks[name]; v != "ok" {
			fmt.Fprintf(a.Stdout, "check %s: %v\n", name, v)
		}
	}
	notes, _ := o["notes"].([]any)
	for _, n := range notes {
		fmt.Fprintf(a.Stdout, "note: %v\n", n)
	}
	workers, _ := o["workers"].([]any)
	for _, w := range workers {
		m, _ := w.(object)
		a.showWorker(m)
	}
	fails, _ := o["last_failures"].([]any)
	for _, f := range fails {
		m, _ := f.(object)
		fmt.Fprintf(a.Stdout, "%s  %s  %s  %s\n", a.paint(text(m, "status")), text(m, "id"), text(m, "action"), a.when(text(m, "ended")))
	}
	asked, _ := o["inquiries"].([]any)
	for _, q := range asked {
		m, _ := q.(object)
		id := text(m, "id")
		fmt.Fprintf(a.Stdout, "%s  %s  waits for an answer: hayate inquiry get %s\n", a.paint("pending"), id, id)
	}
	if len(fails) > 0 {
		a.say("Look at one: hayate execution get %s", text(fails[0].(object), "id"))
	}
	return nil
}
