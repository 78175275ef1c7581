package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) ruleCommand() *cobra.Command {
	c := &cobra.Command{Use: "rule", Aliases: []string{"rules"}, Short: "list rules, switch them on and off, test them"}
	var pack, trigger string
	var watch listFlags
	list := &cobra.Command{Use: "list", Short: "list rules", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		q := url.Values{}
		set(q, "pack", pack)
		set(q, "trigger", trigger)
		watch.limit = -1
		return a.lists(c, &watch, "/api/v1/rules", q, []column{field("REF", "ref"), {title: "STATUS", get: onOff}, field("TRIGGER", "trigger.type"),
			{title: "ACTIONS", get: actionsOf}, field("DESCRIPTION", "description"), wideField("FILE", "metadata_file")})
	}}
	list.Flags().StringVar(&pack, "pack", "", "only rules of this pack")
	list.Flags().StringVar(&trigger, "trigger", "", "only rules that wait for this trigger")
	list.Flags().BoolVarP(&watch.watch, "watch", "w", false, "show again when something changes")
	get := &cobra.Command{Use: "get RULE", Short: "show a rule", Args: exactly(1), ValidArgsFunction: a.complete("/api/v1/rules"), RunE: func(c *cobra.Command, args []string) error {
		return a.showResource(c.Context(), "/api/v1/rules/", args[0])
	}}
	c.AddCommand(list, get, a.ruleSwitch("enable", true), a.ruleSwitch("disable", false), a.ruleState(), a.ruleTest(), a.ruleDiff())
	return c
}

func onOff(o object) string {
	st := "disabled"
	if at(o, "enabled") == true {
		st = "enabled"
	}
	if m := text(o, "mode"); m != "" {
		st += " (" + m + ")"
	}
	return st
}

func actionsOf(o object) string {
	if ref := text(o, "action.ref"); ref != "" {
		return ref
	}
	as, _ := o["actions"].([]any)
	var refs []string
	for _, x := range as {
		m, _ := x.(object)
		refs = append(refs, text(m, "ref"))
	}
	return strings.Join(refs, ", ")
}

func (a *app) showResource(ctx context.Context, path, ref string) error {
	r, err := a.call(ctx, http.MethodGet, path+url.PathEscape(ref), nil, nil, "")
	if err != nil {
		return err
	}
	return a.printObject(r.body, "ref", func(object) error { return a.printYAML(r.body) })
}

func (a *app) ruleSwitch(verb string, on bool) *cobra.Command {
	return &cobra.Command{Use: verb + " RULE...", Short: verb + " rules; the change outlives restarts and reloads", Args: atLeast(1), ValidArgsFunction: a.complete("/api/v1/rules"),
		RunE: func(c *cobra.Command, args []string) error {
			for _, ref := range args {
				var o object
				if err := a.send(c.Context(), http.MethodPut, "/api/v1/rules/"+url.PathEscape(ref), map[string]bool{"enabled": on}, &o); err != nil {
					return err
				}
				fmt.Fprintf(a.Stdout, "rule %s is %s\n", text(o, "ref"), onOff(o))
			}
			return nil
		}}
}

func (a *app) actionCommand() *cobra.Command {
	c := &cobra.Command{Use: "action", Aliases: []string{"actions"}, Short: "list actions and their parameters"}
	var pack string
	list := &cobra.Command{Use: "list", Short: "list actions", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		q := url.Values{}
		set(q, "pack", pack)
		return a.lists(c, &listFlags{limit: -1}, "/api/v1/actions", q, []column{field("REF", "ref"), field("RUNNER", "runner_type"), field("DESCRIPTION", "description")})
	}}
	list.Flags().StringVar(&pack, "pack", "", "only actions of this pack")
	get := &cobra.Command{Use: "get ACTION", Short: "show an action with all the parameters it takes", Args: exactly(1), ValidArgsFunction: a.complete("/api/v1/actions"), RunE: func(c *cobra.Command, args []string) error {
		return a.showResource(c.Context(), "/api/v1/actions/views/overview/", args[0])
	}}
	c.AddCommand(list, get)
	return c
}

// complete offers the references of a list to the shell.
func (a *app) complete(path string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		var items []object
		if err := a.get(c.Context(), path, nil, &items); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // no server: nothing to offer
		}
		var out []string
		for _, o := range items {
			if ref := text(o, "ref"); strings.HasPrefix(ref, prefix) {
				out = append(out, ref+"\t"+oneLine(text(o, "description")))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeExecution offers the newest executions to the shell.
func (a *app) completeExecution(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var items []object
	if err := a.get(c.Context(), "/api/v1/executions", url.Values{"limit": {"50"}, "include_attributes": {"id,action,status"}}, &items); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp // no server: nothing to offer
	}
	var out []string
	for _, o := range items {
		if id := text(o, "id"); strings.HasPrefix(id, prefix) {
			out = append(out, id+"\t"+text(o, "action.ref")+" "+text(o, "status"))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func (a *app) packCommand() *cobra.Command {
	c := &cobra.Command{Use: "pack", Aliases: []string{"packs"}, Short: "list packs, read them again, check them"}
	list := &cobra.Command{Use: "list", Short: "list registered packs", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		return a.lists(c, &listFlags{limit: -1}, "/api/v1/packs", url.Values{}, []column{field("REF", "ref"), field("VERSION", "version"), field("DESCRIPTION", "description"),
			wideField("PATH", "path"), wideField("DIGEST", "digest")})
	}}
	get := &cobra.Command{Use: "get PACK", Short: "show a pack", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		return a.showResource(c.Context(), "/api/v1/packs/", args[0])
	}}
	register := &cobra.Command{Use: "register", Aliases: []string{"reload"}, Short: "make the server read its pack folders again", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		r, err := a.call(c.Context(), http.MethodPost, "/v1/packs/reload", nil, []byte("{}"), "application/json")
		if err != nil {
			return err
		}
		return a.printObject(r.body, "packs", func(o object) error {
			fmt.Fprintf(a.Stdout, "%s pack(s) registered: %s actions, %s rules\n", text(o, "packs"), text(o, "actions"), text(o, "rules"))
			fs, _ := o["findings"].([]any)
			for _, f := range fs {
				fmt.Fprintln(a.Stderr, f)
			}
			if text(o, "errors") != "0" {
				return &exit{code: exitError}
			}
			return nil
		})
	}}
	problems := &cobra.Command{Use: "problems", Short: "what is wrong with the server's packs; exit code 1 when something was refused", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		r, err := a.call(c.Context(), http.MethodGet, "/v1/packs/problems", nil, nil, "")
		if err != nil {
			return err
		}
		var o struct {
			Errors, Warnings int
			Findings         []string
		}
		if err := decode(r.body, &o); err != nil {
			return err
		}
		if err := a.printObject(r.body, "errors", func(object) error {
			for _, f := range o.Findings {
				fmt.Fprintln(a.Stdout, f)
			}
			a.say("%d error(s), %d warning(s)", o.Errors, o.Warnings)
			return nil
		}); err != nil {
			return err
		}
		if o.Errors > 0 {
			return &exit{code: exitError}
		}
		return nil
	}}
	c.AddCommand(list, get, register, problems, a.packLint(), a.packTest())
	return c
}
