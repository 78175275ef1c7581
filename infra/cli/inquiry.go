package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

func (a *app) inquiryCommand() *cobra.Command {
	c := &cobra.Command{Use: "inquiry", Aliases: []string{"inquiries"}, Short: "list questions that workflows ask, and answer them"}
	list := &cobra.Command{Use: "list", Short: "list questions that wait for an answer", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		return a.lists(c, &listFlags{limit: -1}, "/api/v1/inquiries", url.Values{}, []column{field("ID", "id"), field("ROUTE", "route"), field("USERS", "users"), field("TTL (MIN)", "ttl"), wideField("SCHEMA", "schema")})
	}}
	get := &cobra.Command{Use: "get ID|last", Short: "show a question; last is the newest", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		return a.showResource(c.Context(), "/api/v1/inquiries/", args[0])
	}}
	respond := &cobra.Command{Use: "respond ID|last NAME=VALUE...|JSON", Short: "answer a question", Args: atLeast(2),
		Example: "  hayate inquiry respond 66f0… continue=true\n  hayate inquiry respond 66f0… '{\"continue\": true}'",
		RunE: func(c *cobra.Command, args []string) error {
			response, err := answerOf(args[1:])
			if err != nil {
				return err
			}
			var q struct {
				ID     string
				Schema struct{ Properties map[string]json.RawMessage }
			}
			if err := a.get(c.Context(), "/api/v1/inquiries/"+url.PathEscape(args[0]), nil, &q); err != nil {
				return err
			}
			known := slices.Sorted(maps.Keys(q.Schema.Properties))
			for name := range response {
				if near := yamldoc.Nearest(name, known); q.Schema.Properties[name] == nil && near != "" {
					return usage("the question does not ask for %q, did you mean %q? It asks for: %s", name, near, strings.Join(known, ", "))
				}
			}
			if err := a.send(c.Context(), http.MethodPut, "/api/v1/inquiries/"+url.PathEscape(q.ID), map[string]any{"id": q.ID, "response": response}, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "inquiry %s is answered\n", q.ID)
			return err
		}}
	c.AddCommand(list, get, respond)
	return c
}

// answerOf reads an answer: a JSON object, or members whose values are JSON where
// they read as it.
func answerOf(args []string) (map[string]any, error) {
	out := map[string]any{}
	if len(args) == 1 && strings.HasPrefix(strings.TrimSpace(args[0]), "{") {
		if err := json.Unmarshal([]byte(args[0]), &out); err != nil {
			why := err.Error()
			if strings.Contains(why, "after object key") && !strings.Contains(why, "key:value pair") {
				why = "a colon is missing after a name"
			}
			return nil, usage("the answer is not JSON (%s); write for example '{\"continue\": true}', or continue=true", why)
		}
		return out, nil
	}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("%q is not NAME=VALUE", arg)
		}
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			v = text
		}
		out[name] = v
	}
	return out, nil
}
