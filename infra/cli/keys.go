package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

func (a *app) keyCommand() *cobra.Command {
	c := &cobra.Command{Use: "key", Aliases: []string{"keys"}, Short: "read and write the datastore"}
	c.AddCommand(a.keyGet(), a.keySet(), a.keyList(), a.keyDelete(), a.keyLoad())
	return c
}

// masked stands for a secret value where people read. The API, and so -o json,
// shows the encrypted text, as StackStorm's does.
const masked = "********"

func keyPath(name string) string { return "/api/v1/keys/" + url.PathEscape(name) }

func scopeFlag(c *cobra.Command, scope *string, dflt string) {
	c.Flags().StringVar(scope, "scope", dflt, "scope: system or user")
}

func (a *app) keyGet() *cobra.Command {
	var scope string
	var decrypt bool
	c := &cobra.Command{Use: "get NAME", Short: "print a value", Args: exactly(1)}
	scopeFlag(c, &scope, "system")
	c.Flags().BoolVarP(&decrypt, "decrypt", "d", false, "open a secret value")
	c.RunE = func(c *cobra.Command, args []string) error {
		q := url.Values{"scope": {scope}}
		if decrypt {
			q.Set("decrypt", "true")
		}
		r, err := a.call(c.Context(), http.MethodGet, keyPath(args[0]), q, nil, "")
		if err != nil {
			return err
		}
		return a.printObject(r.body, "name", func(o object) error {
			if at(o, "encrypted") == true {
				a.say("the value is secret; --decrypt shows it")
				_, err := fmt.Fprintln(a.Stdout, masked)
				return err
			}
			_, err := fmt.Fprintln(a.Stdout, text(o, "value"))
			return err
		})
	}
	return c
}

func (a *app) keySet() *cobra.Command {
	var scope string
	var secret bool
	var ttl time.Duration
	c := &cobra.Command{Use: "set NAME VALUE", Short: "store a value; VALUE - reads standard input, which keeps secrets out of the shell's history", Args: exactly(2)}
	scopeFlag(c, &scope, "system")
	c.Flags().BoolVarP(&secret, "encrypt", "e", false, "keep it secret: encrypted at rest, masked where it is shown")
	c.Flags().DurationVarP(&ttl, "ttl", "l", 0, "forget it after this time")
	c.RunE = func(c *cobra.Command, args []string) error {
		v := args[1]
		if v == "-" {
			b, err := io.ReadAll(a.Stdin)
			if err != nil {
				return err
			}
			v = strings.TrimSuffix(string(b), "\n")
		}
		body := map[string]any{"name": args[0], "value": v, "scope": scope, "secret": secret}
		if ttl > 0 {
			body["ttl"] = int64(ttl / time.Second)
		}
		if err := a.send(c.Context(), http.MethodPut, keyPath(args[0]), body, nil); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.Stdout, "key %s is set\n", args[0])
		return err
	}
	return c
}

func (a *app) keyList() *cobra.Command {
	var scope, prefix string
	var decrypt bool
	c := &cobra.Command{Use: "list", Short: "list keys", Args: exactly(0)}
	c.Flags().StringVar(&scope, "scope", "all", "scope: system, user or all")
	c.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	c.Flags().BoolVarP(&decrypt, "decrypt", "d", false, "open secret values")
	c.RunE = func(c *cobra.Command, _ []string) error {
		q := url.Values{"scope": {scope}, "prefix": {prefix}}
		if decrypt {
			q.Set("decrypt", "true")
		}
		return a.lists(c, &listFlags{limit: -1}, "/api/v1/keys", q, []column{field("NAME", "name"),
			{title: "VALUE", get: func(o object) string {
				if at(o, "encrypted") == true {
					return masked
				}
				return text(o, "value")
			}}, field("SCOPE", "scope"), field("SECRET", "secret"), field("EXPIRES", "expire_timestamp")})
	}
	return c
}

func (a *app) keyDelete() *cobra.Command {
	var scope string
	c := &cobra.Command{Use: "delete NAME...", Short: "remove keys", Args: atLeast(1)}
	scopeFlag(c, &scope, "system")
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, name := range args {
			if _, err := a.call(c.Context(), http.MethodDelete, keyPath(name), url.Values{"scope": {scope}}, nil, ""); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "key %s is deleted\n", name)
		}
		return nil
	}
	return c
}

func (a *app) keyLoad() *cobra.Command {
	var convert bool
	c := &cobra.Command{Use: "load FILE|-", Short: "store the keys of a YAML or JSON file: a list of {name, value, scope, secret, ttl}", Args: exactly(1)}
	c.Flags().BoolVarP(&convert, "convert", "c", false, "store values that are no text as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		src, err := a.readInput(args[0])
		if err != nil {
			return err
		}
		doc, ds := yamldoc.Parse(src, yamldoc.Options{File: args[0]})
		if yamldoc.HasErrors(ds) {
			return usage("%s", ds[0])
		}
		var items []map[string]json.RawMessage
		raw := doc.JSON()
		if bytes.HasPrefix(raw, []byte("{")) {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		if err := json.Unmarshal(raw, &items); err != nil {
			return usage("%s: want a list of mappings with name and value", args[0])
		}
		p := a.progress("keys")
		defer p.end()
		for i, it := range items {
			p.step(i, len(items))
			var name, value string
			if json.Unmarshal(it["name"], &name) != nil || name == "" {
				return usage("%s: entry %d has no name", args[0], i+1)
			}
			if json.Unmarshal(it["value"], &value) != nil {
				if !convert {
					return usage("%s: the value of %s is no text; --convert stores it as JSON", args[0], name)
				}
				it["value"], err = json.Marshal(string(it["value"]))
				if err != nil {
					return err
				}
			}
			if err := a.send(c.Context(), http.MethodPut, keyPath(name), it, nil); err != nil {
				return fmt.Errorf("entry %d (%s): %w", i+1, name, err)
			}
		}
		p.end()
		_, err = fmt.Fprintf(a.Stdout, "%d key(s) are set\n", len(items))
		return err
	}
	return c
}
