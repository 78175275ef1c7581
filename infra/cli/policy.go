package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

const policiesPath = "/api/v1/policies"

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{Use: "policy", Aliases: []string{"policies"}, Short: "list and change policies: how many executions run at once, what is retried"}
	var pack, action string
	var watch listFlags
	list := &cobra.Command{Use: "list", Short: "list policies", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		q := url.Values{}
		set(q, "pack", pack)
		set(q, "resource_ref", action)
		watch.limit = -1
		return a.lists(c, &watch, policiesPath, q, []column{field("REF", "ref"), {title: "STATUS", get: onOff}, field("ACTION", "resource_ref"),
			field("TYPE", "policy_type"), {title: "PARAMETERS", get: policyParameters}, wideField("FILE", "metadata_file")})
	}}
	list.Flags().StringVar(&pack, "pack", "", "only policies of this pack")
	list.Flags().StringVar(&action, "action", "", "only policies of this action")
	list.Flags().BoolVarP(&watch.watch, "watch", "w", false, "show again when something changes")
	get := &cobra.Command{Use: "get POLICY", Short: "show a policy", Args: exactly(1), ValidArgsFunction: a.complete(policiesPath), RunE: func(c *cobra.Command, args []string) error {
		return a.showResource(c.Context(), policiesPath+"/", args[0])
	}}
	types := &cobra.Command{Use: "types", Short: "list the types of policies and the parameters they take", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		return a.lists(c, &listFlags{limit: -1}, "/api/v1/policytypes", url.Values{}, []column{field("REF", "ref"), {title: "PARAMETERS", get: typeParameters}, field("DESCRIPTION", "description")})
	}}
	c.AddCommand(list, get, types, a.policyCreate(), a.policyUpdate(), a.policySwitch("enable", true), a.policySwitch("disable", false), a.policyDelete())
	return c
}

// policyNames are the parameters of policies.
var policyNames = []string{"threshold", "action", "attributes", "retry_on", "max_retry_count", "delay"}

// policyParameters is a policy's parameters as name=value.
func policyParameters(o object) string {
	m, _ := o["parameters"].(object)
	var parts []string
	for _, name := range policyNames {
		v, ok := m[name]
		if !ok {
			continue
		}
		if list, isList := v.([]any); isList {
			texts := make([]string, len(list))
			for i, x := range list {
				texts[i] = fmt.Sprint(x)
			}
			v = strings.Join(texts, ",")
		}
		parts = append(parts, fmt.Sprintf("%s=%v", name, v))
	}
	return strings.Join(parts, " ")
}

func typeParameters(o object) string {
	m, _ := o["parameters"].(object)
	var parts []string
	for _, name := range policyNames {
		if _, ok := m[name]; ok {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}

func (a *app) policySwitch(verb string, on bool) *cobra.Command {
	return &cobra.Command{Use: verb + " POLICY...", Short: verb + " policies; the change outlives restarts and reloads", Args: atLeast(1), ValidArgsFunction: a.complete(policiesPath),
		RunE: func(c *cobra.Command, args []string) error {
			for _, ref := range args {
				var o object
				if err := a.send(c.Context(), http.MethodPut, policiesPath+"/"+url.PathEscape(ref), map[string]bool{"enabled": on}, &o); err != nil {
					return err
				}
				fmt.Fprintf(a.Stdout, "policy %s is %s\n", text(o, "ref"), onOff(o))
			}
			return nil
		}}
}

func (a *app) policyUpdate() *cobra.Command {
	return &cobra.Command{Use: "update POLICY NAME=VALUE...", Short: "give a policy other parameters; the others stay, and the change outlives restarts and reloads", Args: atLeast(2),
		Example: "  hayate policy update billing.one_at_a_time threshold=2", ValidArgsFunction: a.complete(policiesPath),
		RunE: func(c *cobra.Command, args []string) error {
			path := policiesPath + "/" + url.PathEscape(args[0])
			var o object
			if err := a.get(c.Context(), path, nil, &o); err != nil {
				return err
			}
			params, _ := o["parameters"].(object)
			if params == nil {
				params = object{}
			}
			if err := policyValues(params, args[1:]); err != nil {
				return err
			}
			if err := a.send(c.Context(), http.MethodPut, path, map[string]any{"parameters": params}, &o); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "policy %s: %s\n", text(o, "ref"), policyParameters(o))
			return nil
		}}
}

// policyValues reads NAME=VALUE: JSON where it is, else a text. The server knows
// what each type of policy takes.
func policyValues(into object, args []string) error {
	for _, arg := range args {
		name, v, ok := strings.Cut(arg, "=")
		if !ok {
			return usage("%q is not NAME=VALUE", arg)
		}
		var x any
		switch {
		case name == "attributes" && !strings.HasPrefix(v, "["):
			list, err := convertArray(v)
			if err != nil {
				return err
			}
			x = list
		case json.Unmarshal([]byte(v), &x) != nil:
			x = v
		}
		if !slices.Contains(policyNames, name) {
			return usage("policies take no parameter %q%s", name, yamldoc.Suggest(name, policyNames))
		}
		if n, ok := x.(float64); ok && name == "threshold" && n < 1 {
			return usage("with the threshold %v the action would never run: give 1 or more, or disable the action", n)
		}
		into[name] = x
	}
	return nil
}

func (a *app) policyCreate() *cobra.Command {
	var typ, action, description string
	c := &cobra.Command{Use: "create PACK.NAME --type TYPE --action ACTION NAME=VALUE...", Short: "make a policy beside those of the packs", Args: atLeast(1),
		Example: "  hayate policy create billing.one_per_host --type action.concurrency.attr --action billing.restart threshold=1 attributes=host\n" +
			"  hayate policy create billing.again --type action.retry --action billing.export retry_on=timeout max_retry_count=3 delay=30"}
	c.Flags().StringVar(&typ, "type", "", "action.concurrency, action.concurrency.attr or action.retry")
	c.Flags().StringVar(&action, "action", "", "the action that it is about")
	c.Flags().StringVar(&description, "description", "", "what it is for")
	c.RunE = func(c *cobra.Command, args []string) error {
		pack, name, ok := strings.Cut(args[0], ".")
		switch {
		case !ok:
			return usage("%q is not PACK.NAME", args[0])
		case typ == "" || action == "":
			return usage("name the type and the action: --type TYPE --action ACTION")
		}
		params := object{}
		if err := policyValues(params, args[1:]); err != nil {
			return err
		}
		var o object
		body := map[string]any{"pack": pack, "name": name, "policy_type": typ, "resource_ref": action, "parameters": params, "description": description}
		if err := a.send(c.Context(), http.MethodPost, policiesPath, body, &o); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "policy %s: %s\n", text(o, "ref"), policyParameters(o))
		return nil
	}
	return c
}

func (a *app) policyDelete() *cobra.Command {
	return &cobra.Command{Use: "delete POLICY...", Short: "remove policies; one of a pack stays away until it is created again", Args: atLeast(1), ValidArgsFunction: a.complete(policiesPath),
		RunE: func(c *cobra.Command, args []string) error {
			for _, ref := range args {
				if _, err := a.call(c.Context(), http.MethodDelete, policiesPath+"/"+url.PathEscape(ref), nil, nil, ""); err != nil {
					return err
				}
				fmt.Fprintf(a.Stdout, "policy %s is deleted\n", ref)
			}
			return nil
		}}
}
