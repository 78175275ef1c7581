package workflows

import "github.com/hayate-run/hayate/internal/yamldoc"

// Detect guesses the dialect that a definition is written in: an ActionChain has a
// chain, Mistral's version is 2.0, everything else is taken for Orquesta.
func Detect(text []byte) string {
	root, _ := yamldoc.Parse(text, yamldoc.Options{})
	switch v := root.Get("version").Text(); {
	case root.Get("chain") != nil:
		return ActionChain
	case v == "2.0" || v == "2":
		return Mistral
	}
	return Orquesta
}
