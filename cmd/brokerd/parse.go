package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"quorumlog/broker/config"
)

const envPrefix = "BROKERD_"

// environment holds the process's variables.
type environment map[string]string

func newEnvironment(env []string) environment {
	e := make(environment, len(env))
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		e[k] = v
	}
	return e
}

// given is one option as somebody wrote it.
type given struct {
	option *option
	value  string
	where  string // for messages: --listen, BROKERD_LISTEN, file.yaml:3: listen
}

// request is what the command line asks for.
type request struct {
	show  page // to be shown instead of a start
	flags []given
}

// resolve puts the options together: a flag goes before a variable, that before the file, that
// before the default. Errors are sentences that name what is wrong.
func resolve(flags []given, env environment) (*options, error) {
	variables, err := parseEnv(env)
	if err != nil {
		return nil, err
	}
	o := defaults(env)
	file, err := fileOf(flags, variables)
	if err != nil {
		return nil, err
	}
	for _, g := range slices.Concat(file, variables, flags) {
		if err := g.option.set(o, g.value); err != nil {
			return nil, describe(g, err)
		}
	}
	return o, o.check()
}

func describe(g given, err error) error {
	if g.option.name == "set" {
		return fmt.Errorf("%s: %w", g.where, err)
	}
	return fmt.Errorf("%s: %q cannot be used: %w", g.where, g.value, err)
}

// parseArgs reads --name value and --name=value.
func parseArgs(args []string) (request, error) {
	var r request
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch arg {
		case "-h", "-help", "--help", "help":
			r.show = pageHelp
			if slices.Equal(args, []string{"settings"}) {
				r.show = pageSettings
			}
			return r, nil
		case "--version", "-version", "version":
			r.show = pageVersion
			return r, nil
		}
		dashed, value, inline := strings.Cut(arg, "=")
		name, ok := strings.CutPrefix(dashed, "--")
		if !ok {
			return r, fmt.Errorf("%q is not a flag; see brokerd --help", arg)
		}
		o := optionNamed(name)
		if o == nil {
			return r, fmt.Errorf("unknown flag --%s%s", name, flagHint(name))
		}
		if !inline {
			if len(args) == 0 {
				return r, fmt.Errorf("--%s needs a value: --%s %s", name, name, o.arg)
			}
			value, args = args[0], args[1:]
		}
		r.flags = append(r.flags, given{o, value, "--" + name})
	}
	return r, nil
}

func flagHint(name string) string {
	if _, ok := config.Broker.Lookup(name); ok {
		return fmt.Sprintf("; a setting is given as --set %s=VALUE", name)
	}
	if near := config.Nearest(name, optionNames()); near != "" {
		return " (did you mean --" + near + "?)"
	}
	return "; see brokerd --help"
}

// parseEnv reads the BROKERD_ variables. Those that Kubernetes sets for a service named brokerd
// are not ours.
func parseEnv(env environment) ([]given, error) {
	var all []given
	names := make(map[string]*option, len(table))
	for i := range table {
		names[table[i].env()] = &table[i]
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		o := names[name]
		switch {
		case o != nil:
			all = append(all, given{o, env[name], name})
		case strings.HasPrefix(name, envPrefix+"SERVICE_"), name == envPrefix+"PORT", strings.HasPrefix(name, envPrefix+"PORT_"):
		case strings.HasPrefix(name, envPrefix):
			near := config.Nearest(strings.ToLower(name), lower(slices.Collect(maps.Keys(names))))
			return nil, fmt.Errorf("unknown variable %s%s", name, hint(strings.ToUpper(near)))
		}
	}
	return all, nil
}

func lower(names []string) []string {
	for i, n := range names {
		names[i] = strings.ToLower(n)
	}
	return names
}

// fileOf reads the configuration file that a flag names, else a variable.
func fileOf(flags, variables []given) ([]given, error) {
	for _, list := range [][]given{flags, variables} {
		for _, g := range slices.Backward(list) {
			if g.option.name != "config" || g.value == "" {
				continue
			}
			data, err := os.ReadFile(g.value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", g.where, err)
			}
			return parseFile(g.value, data)
		}
	}
	return nil, nil
}

// check looks at options that depend on each other.
func (o *options) check() error {
	if len(o.voters) > 0 && len(o.join) > 0 {
		return errors.New("--voters founds a cluster and --join joins one; give one of them")
	}
	if len(o.voters) > 0 && !slices.ContainsFunc(o.voters, func(v voter) bool { return v.id == o.nodeID }) {
		return fmt.Errorf("--voters does not name this node, whose --node-id is %d; a node that is not among the first joins with --join", o.nodeID)
	}
	return nil
}
