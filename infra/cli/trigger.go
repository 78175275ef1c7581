package cli

import (
	"net/url"

	"github.com/spf13/cobra"
)

// triggerCommand shows the kinds of events that packs describe.
func (a *app) triggerCommand() *cobra.Command {
	c := &cobra.Command{Use: "trigger", Aliases: []string{"triggers", "trigger-type"}, Short: "list trigger types: events that packs describe, with their fields",
		Long: "Trigger types are the kinds of events that packs, and hayate itself, describe: their payload, and the parameters that a rule gives them.\n" +
			"Rules may wait for events of other types, too."}
	var pack string
	list := &cobra.Command{Use: "list", Short: "list trigger types", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		q := url.Values{}
		set(q, "pack", pack)
		return a.lists(c, &listFlags{limit: -1}, "/api/v1/triggertypes", q, []column{field("REF", "ref"), field("DESCRIPTION", "description")})
	}}
	list.Flags().StringVar(&pack, "pack", "", "only trigger types of this pack; hayate names its own")
	get := &cobra.Command{Use: "get TRIGGER", Short: "show a trigger type, with the fields of its events", Example: "  hayate trigger get hayate.rule.breaker", Args: exactly(1),
		ValidArgsFunction: a.complete("/api/v1/triggertypes"), RunE: func(c *cobra.Command, args []string) error {
			return a.showResource(c.Context(), "/api/v1/triggertypes/", args[0])
		}}
	c.AddCommand(list, get)
	return c
}
